/**
 * What the prefix tree of a search saves: every architecture of a space through the tree, against a sample of them run one
 * by one on the same images and extrapolated by its MACs.
 *
 *     deno task bench:search
 *
 * Both run the same kernels with the same teacher, prepared once. Scores of the sample must be the same, bit for bit. The
 * time saved is to be at least 80 % of what the MACs let expect; the process ends with status 1 otherwise. The demo's
 * runs take turns and their medians count; the large space is run once.
 */
import { median } from "../src/median.ts";
import demoFile from "../configs/demo.json" with { type: "json" };
import { parseConfig } from "../src/config/load.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { openGpu } from "../src/host/adapter.ts";
import { Encoder } from "../src/nn/encoder.ts";
import { macs } from "../src/elastic/costs.ts";
import { SearchSpace, type SpaceDefinition } from "../src/elastic/search_space.ts";
import type { Network } from "../src/nn/network.ts";
import { ElasticResNet } from "../src/nn/resnet.ts";
import { Statistics } from "../src/nn/weights.ts";
import { purpose, Random } from "../src/random.ts";
import { Pace } from "../src/search/pace.ts";
import { choosePlaces } from "../src/search/places.ts";
import { NetworkRunner } from "../src/search/runner.ts";
import { searchTree } from "../src/search/search.ts";
import { CosineMetric } from "../src/search/similarity/cosine.ts";
import { ScoreTable } from "../src/search/similarity/score_table.ts";
import { buildTree, countWork, type PrefixTree } from "../src/search/tree.ts";
import { prepareTeachers, releaseTeachers } from "../src/search/walk.ts";
import { Tape } from "../src/tensor/tape.ts";
import { Tensor } from "../src/tensor/tensor.ts";
import { searchedSpace } from "./spaces.ts";

const sampled = 48;
const batch = 64;
const demo = parseConfig(demoFile, "configs/demo.json");
const head = { kind: "linear", hidden: 0, dimension: 128 } as const;
const signal = new AbortController().signal;

/** What the two ways are compared on. */
interface Bench {
  readonly gpu: Gpu;
  readonly student: Encoder;
  readonly teacher: Encoder;
  readonly tree: PrefixTree;
  readonly images: Float32Array<ArrayBuffer>;
  readonly imageSize: number;
}

interface Run {
  readonly seconds: number;
  /** By index of the candidate in the tree. */
  readonly scores: ReadonlyMap<number, number>;
}

async function newEncoder(gpu: Gpu, network: Network, seed: number): Promise<Encoder> {
  const encoder = new Encoder(gpu, network, head, false);
  await encoder.initialise(seed, { head: "kaiming", lastBatchnorm: 1 });
  return encoder;
}

function upload({ gpu, images, imageSize }: Bench): Tensor {
  return Tensor.from(gpu, images, [batch, 3, imageSize, imageSize]);
}

/** All candidates through the tree. */
async function together(bench: Bench): Promise<Run> {
  const { gpu, student, teacher, tree, imageSize } = bench;
  const metric = new CosineMetric(gpu);
  const load = () => Promise.resolve(upload(bench));
  const started = performance.now();
  const task = { gpu, student, teacher, tree, metric, images: batch, batch, imageSize, load, signal };
  const { scores } = await searchTree({ ...task, mode: "batch" });
  return {
    seconds: (performance.now() - started) / 1000,
    scores: new Map(scores!.map(([score], index) => [index, score])),
  };
}

/** Some candidates one after the other, each from images to projection. */
async function alone(bench: Bench, candidates: readonly number[]): Promise<Run> {
  const { gpu, student, teacher, tree, imageSize } = bench;
  const { space } = student.network;
  const metric = new CosineMetric(gpu);
  const images = upload(bench);
  const table = new ScoreTable(gpu, metric, candidates.length);
  const statistics = new Statistics(gpu, student.shapes);
  const started = performance.now();
  const runner = new NetworkRunner(teacher, [images], "batch");
  const teachers = prepareTeachers(runner, space.max, metric, tree);
  runner.release();
  const [[prepared]] = teachers.values();
  const pace = new Pace(gpu, signal);
  for (const [slot, candidate] of candidates.entries()) {
    const tape = new Tape(gpu, false);
    const pass = student.pass({ tape, training: true, batchnormGroups: 1, statistics });
    const { pooled } = student.features(pass, images, tree.candidates[candidate]);
    prepared.accumulate(student.project(pass, pooled), table, slot);
    tape.release();
    await pace.after(macs(student.network, tree.candidates[candidate], imageSize) * batch);
  }
  const scores = await table.scores();
  const seconds = (performance.now() - started) / 1000;
  releaseTeachers(teachers);
  for (const owner of [images, table, statistics]) owner.release();
  return { seconds, scores: new Map(candidates.map((candidate, slot) => [candidate, scores[slot]])) };
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** Compares the two ways; whether all is as it should be. */
async function compare(name: string, definition: SpaceDefinition, rounds: number): Promise<boolean> {
  using gpu = await openGpu();
  const space = new SearchSpace(definition);
  const network = new ElasticResNet(space);
  const { imageSize } = demo.data;
  const tree = buildTree(
    network,
    [...space.enumerate()],
    choosePlaces(network, "classification", "cosine"),
  );
  const random = new Random(1, purpose.test);
  const images = Float32Array.from({ length: batch * 3 * imageSize ** 2 }, () => random.uniform(-2, 2));
  const [student, teacher] = [await newEncoder(gpu, network, 1), await newEncoder(gpu, network, 2)];
  const bench: Bench = { gpu, student, teacher, tree, images, imageSize };

  const count = tree.candidates.length;
  const length = Math.min(sampled, count);
  const sample = Array.from({ length }, (_, index) => Math.floor((index + 0.5) * count / length));
  const work = countWork(imageSize, tree);
  const sampleMacs = sample.reduce((sum, index) => sum + macs(network, tree.candidates[index], imageSize), 0);
  await alone(bench, sample); // compiles the kernels
  const times: { tree: number; alone: number }[] = [];
  let difference = 0;
  for (let round = 0; round < rounds; round++) {
    const one = await together(bench);
    const other = await alone(bench, sample);
    times.push({ tree: one.seconds, alone: other.seconds * work.macs.alone / sampleMacs });
    for (const [candidate, score] of other.scores) {
      difference = Math.max(difference, Math.abs(score - one.scores.get(candidate)!));
    }
  }
  const seconds = { tree: median(times.map((t) => t.tree)), alone: median(times.map((t) => t.alone)) };
  const macsSaved = 1 - work.macs.tree / work.macs.alone;
  const timeSaved = 1 - seconds.tree / seconds.alone;
  console.log(
    [
      `${name}: ${count} architectures, ${batch} images, ${gpu.facts.description}`,
      `  blocks    ${work.blocks.tree} in place of ${work.blocks.alone}`,
      `  MACs      ${percent(macsSaved)} saved`,
      `  time      ${seconds.tree.toFixed(2)} s in place of ${
        seconds.alone.toFixed(2)
      } s (${length} run alone): ` +
      `${percent(timeSaved)} saved, ${percent(timeSaved / macsSaved)} of what the MACs let expect`,
      `  scores    differ by ${difference}`,
    ].join("\n"),
  );
  return timeSaved >= 0.8 * macsSaved && difference === 0;
}

const passed = [
  await compare("configs/demo.json", demo.space, 3),
  await compare("a large space", searchedSpace, 1),
];
if (passed.includes(false)) {
  console.error("error: too little time saved, or other scores");
  Deno.exit(1);
}
