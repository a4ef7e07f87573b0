import { assert, assertEquals, assertRejects } from "@std/assert";
import { GpuError } from "../../src/errors.ts";
import { recalibrate } from "../../src/evaluate/calibrate.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { Encoder } from "../../src/nn/encoder.ts";
import { Statistics } from "../../src/nn/weights.ts";
import { walkMemory } from "../../src/search/memory.ts";
import { choosePlaces, type Place, type Task } from "../../src/search/places.ts";
import type { BatchnormMode } from "../../src/search/runner.ts";
import { type SearchPosition, searchTree } from "../../src/search/search.ts";
import { ImageSums } from "../../src/search/image_sums.ts";
import { similarityMetric, type SimilarityOptions } from "../../src/search/similarity/options.ts";
import { ScoreTable } from "../../src/search/similarity/score_table.ts";
import { type CollectedSums, ScoreSums } from "../../src/search/sums.ts";
import { buildTree, countWork, type PrefixTree } from "../../src/search/tree.ts";
import type { Architecture } from "../../src/elastic/architecture.ts";
import { tapNames } from "../../src/elastic/network.ts";
import type { SpaceDefinition } from "../../src/elastic/search_space.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { basicSpace, bottleneckSpace, livelyEncoder } from "../extract/encoders.ts";
import { assertClose, gpuTest, randomTensor, randomValues } from "../helpers.ts";

const size = 32;
const images = 12;
const batch = 6;
const idle = new AbortController().signal;

/** Two encoders and a tree over their whole space. */
interface Setting {
  readonly gpu: Gpu;
  readonly student: Encoder;
  readonly teacher: Encoder;
  readonly tree: PrefixTree;
}

function setting(
  gpu: Gpu,
  definition: SpaceDefinition,
  task: Task,
  metric: SimilarityOptions["metric"],
): Setting {
  const [student, teacher] = [livelyEncoder(gpu, definition, 1), livelyEncoder(gpu, definition, 2)];
  const { network } = student;
  const tree = buildTree(network, [...network.space.enumerate()], choosePlaces(network, task, metric));
  return { gpu, student, teacher, tree };
}

const values = randomValues(images * 3 * size ** 2, 7);

/** The images [first, end), always the same. */
function upload(gpu: Gpu, first: number, end: number): Tensor {
  const part = values.slice(first * 3 * size ** 2, end * 3 * size ** 2);
  return Tensor.from(gpu, part, [end - first, 3, size, size]);
}

function taskOf({ gpu, ...rest }: Setting, similarity: SimilarityOptions, mode: BatchnormMode = "batch") {
  return {
    gpu,
    ...rest,
    metric: similarityMetric(gpu, similarity),
    mode,
    images,
    batch,
    load: (first: number, end: number) => Promise.resolve(upload(gpu, first, end)),
    signal: idle,
  };
}

/** The features of one network at some places, by the way of `Encoder`. */
function features(
  encoder: Encoder,
  architecture: Architecture,
  input: Tensor,
  places: readonly Place[],
  statistics: Statistics,
  training: boolean,
): { tape: Tape; maps: Tensor[] } {
  const tape = new Tape(encoder.weights.gpu, false);
  const pass = encoder.pass({ tape, training, batchnormGroups: 1, statistics });
  const { taps, pooled } = encoder.features(pass, input, architecture, tapNames(encoder.network));
  const maps = places.map(({ kind, tap }) =>
    kind === "map" ? taps.get(tap)! : kind === "pooled" ? pooled : encoder.project(pass, pooled)
  );
  return { tape, maps };
}

/** Scores of every candidate, each run alone from the images on. */
async function aloneScores(
  { gpu, student, teacher, tree }: Setting,
  similarity: SimilarityOptions,
  mode: BatchnormMode,
): Promise<number[][]> {
  const metric = similarityMetric(gpu, similarity);
  const { places, candidates } = tree;
  const bounds = [[0, batch], [batch, images]] as const;
  const run = async (encoder: Encoder, architecture: Architecture) => {
    const load = () => bounds.map(([first, end]) => upload(gpu, first, end));
    const statistics = mode === "recalibrated"
      ? await recalibrate(encoder, architecture, load())
      : new Statistics(gpu, encoder.shapes);
    return load().map((input) =>
      features(encoder, architecture, input, places, statistics, mode === "batch")
    );
  };
  const teachers = (await run(teacher, teacher.network.space.max)).map(({ maps }) =>
    maps.map((map) => metric.prepareTeacher(map))
  );
  const scores: number[][] = [];
  for (const candidate of candidates) {
    const sums = new Float64Array(places.length * metric.components);
    const passes = await run(student, candidate);
    // Batches that stand for themselves are read one by one, as a search does.
    const groups = mode === "batch" ? passes.map((_, index) => [index]) : [passes.map((_, index) => index)];
    for (const group of groups) {
      const table = new ScoreTable(gpu, metric, places.length);
      for (const index of group) {
        passes[index].maps.forEach((map, place) => teachers[index][place].accumulate(map, table, place));
      }
      (await table.sums()).forEach((sum, index) => sums[index] += sum);
      table.release();
    }
    for (const { tape } of passes) tape.release();
    scores.push(
      places.map((_, place) =>
        metric.score([...sums.subarray(place * metric.components, (place + 1) * metric.components)])
      ),
    );
  }
  return scores;
}

const cases: [name: string, definition: SpaceDefinition, Task, SimilarityOptions, BatchnormMode][] = [
  ["cosine of projections", basicSpace, "classification", { metric: "cosine" }, "batch"],
  ["cka, pooled and projection", basicSpace, "classification", { metric: "cka" }, "batch"],
  ["affinity of all stages, bottlenecks", bottleneckSpace, "detection", { metric: "affinity" }, "batch"],
  ["cosine, recalibrated", basicSpace, "classification", { metric: "cosine" }, "recalibrated"],
  [
    "affinity of two stages, recalibrated",
    basicSpace,
    "segmentation",
    { metric: "affinity" },
    "recalibrated",
  ],
];

for (const [name, definition, task, similarity, mode] of cases) {
  gpuTest(`a search of a whole space scores as each candidate alone: ${name}`, async (gpu) => {
    const one = setting(gpu, definition, task, similarity.metric);
    const kept = await gpu.read(...[...one.student.statistics.arena.entries()].map(([, tensor]) => tensor));
    const wanted = taskOf(one, similarity, mode);
    const { scores, images: parts } = await searchTree(wanted);
    assertEquals(scores, await aloneScores(one, similarity, mode));
    const distinct = new Set(scores!.map((row) => `${row}`));
    assertEquals(distinct.size, scores!.length, "candidates are told apart");
    // The images' parts make up the score.
    const { places, candidateSlots } = one.tree;
    const { metric } = wanted;
    const { imageComponents } = metric;
    const ofParts = [...candidateSlots].map((slot) => {
      const values = parts.ofSlot(slot);
      const means = Array.from(
        { length: imageComponents },
        (_, component) =>
          values.reduce(
            (sum, value, at) => at % imageComponents === component ? sum + value / images : sum,
            0,
          ),
      );
      return metric.scoreOfImages(means, means);
    });
    assertEquals(ofParts.length, scores!.length * places.length);
    assertClose(ofParts, scores!.flat(), 1e-5, "parts");
    const after = await gpu.read(...[...one.student.statistics.arena.entries()].map(([, tensor]) => tensor));
    assertEquals(after, kept, "the encoder's own statistics are untouched");
  });
}

gpuTest("the teacher among the candidates scores 1", async (gpu) => {
  const { student, ...rest } = setting(gpu, basicSpace, "detection", "affinity");
  const { scores } = await searchTree(taskOf({ ...rest, student, teacher: student }, { metric: "affinity" }));
  const max = scores!.at(-1)!;
  assert(max.every((score) => Math.abs(score - 1) < 1e-5), `${max}`);
  assert(scores!.slice(0, -1).every((row) => row[2] < max[2]));
});

gpuTest("an interrupted search continues to the same scores, wherever it stopped", async (gpu) => {
  const one = setting(gpu, basicSpace, "detection", "cka");
  const task = taskOf(one, { metric: "cka" });
  const { scores: expected, images } = await searchTree(task);
  const { blocks } = countWork(size, one.tree);
  for (const stop of [1, 17, blocks.tree, blocks.tree + 40, 2 * blocks.tree - 1]) {
    const controller = new AbortController();
    let run = 0;
    let saved: (SearchPosition & CollectedSums) | undefined;
    const interrupted = await searchTree({
      ...task,
      signal: controller.signal,
      onBlock: () => ++run === stop && controller.abort(),
      save: (position, { sums, imageSums }) => {
        saved = { ...position, sums: sums.slice(), imageSums: imageSums.slice() };
        return Promise.resolve();
      },
    });
    assertEquals(interrupted.scores, undefined);
    run = 0;
    const resumed = await searchTree({ ...task, start: saved, onBlock: () => void run++ });
    assertEquals(resumed.scores, expected, `stopped after ${stop} blocks`);
    assertEquals(resumed.images.values, images.values, "what each image contributed");
    assert(run <= 2 * blocks.tree - stop + 8, `${run} blocks after ${stop} of ${2 * blocks.tree}`);
  }
});

gpuTest("sums that pass through a small table are the same", async (gpu) => {
  const metric = similarityMetric(gpu, { metric: "cosine" });
  const teacher = randomTensor(gpu, [4, 8], 1);
  const prepared = metric.prepareTeacher(teacher);
  const collect = async (window: number) => {
    const images = new ImageSums(4, 4, 1, new Float32Array(5 * 4));
    const sums = new ScoreSums(gpu, metric, new Float64Array(5 * metric.components), images, 4, window);
    sums.restart(0, { first: 0, count: 4 });
    for (let slot = 0; slot < 5; slot++) {
      const candidate = randomTensor(gpu, [4, 8], 2 + slot);
      prepared.accumulate(candidate, sums.table, await sums.take());
      candidate.release();
    }
    await sums.collect();
    assertEquals(sums.next, 5);
    sums.release();
    return [...sums.values, ...images.values];
  };
  assertEquals(await collect(2), await collect(5));
});

for (const mode of ["batch", "recalibrated"] as const) {
  gpuTest(`a search keeps to its memory, ${mode} statistics`, async (gpu) => {
    const similarity = { metric: "affinity" } as const;
    const one = setting(gpu, bottleneckSpace, "detection", "affinity");
    const task = taskOf(one, similarity, mode);
    const wide = (first: number, end: number) =>
      Promise.resolve(randomTensor(gpu, [end - first, 3, 64, 64], 3));
    const question = { tree: one.tree, imageSize: 64, similarity, mode };
    const memory = walkMemory(question, batch, images);
    const table = 256 * one.tree.slots;
    const statistics = one.student.statistics.arena.byteLength;
    gpu.pool.budget = Math.ceil(gpu.pool.use.used + memory.total + 1.25 * (table + statistics));
    const { scores } = await searchTree({ ...task, load: wide });
    assert(gpu.pool.use.peak <= gpu.pool.budget);

    // The bound is no fantasy: a third of it is too little.
    await gpu.finish();
    gpu.pool.trim();
    gpu.pool.budget = gpu.pool.use.used + memory.total / 3;
    await assertRejects(() => searchTree({ ...task, load: wide }), GpuError, "are allowed");
    gpu.pool.budget = Infinity;
    assertEquals((await searchTree({ ...task, load: wide })).scores, scores);
  });
}
