/** What was built for ResNets works for a network that is none, by the same code. */
import { assert, assertEquals } from "@std/assert";
import { macs, parameters } from "../../src/elastic/costs.ts";
import { featureChannels } from "../../src/elastic/network.ts";
import { extractSubnet } from "../../src/extract/extract.ts";
import { readModel, uploadModel, writeModel } from "../../src/extract/model_file.ts";
import { describeOnnx } from "../../src/extract/onnx_model.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { PretrainState } from "../../src/pretrain/state.ts";
import { recordStep } from "../../src/train/step.ts";
import { purpose, Random } from "../../src/random.ts";
import { choosePlaces } from "../../src/search/places.ts";
import { rankCandidates } from "../../src/search/ranking.ts";
import { searchTree } from "../../src/search/search.ts";
import { similarityMetric } from "../../src/search/similarity/options.ts";
import { buildTree, countWork } from "../../src/search/tree.ts";
import { encodeOnnx } from "../../src/store/onnx/encode.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { evaluateFeatures } from "../extract/encoders.ts";
import { assertClose, gpuTest, randomTensor, randomValues } from "../helpers.ts";
import { smallRun } from "../pretrain/small_run.ts";
import { elasticVgg } from "./vgg.ts";

const imageSize = 16;
const input = { imageSize, mean: [0, 0, 0] as const, std: [1, 1, 1] as const };

/** A few steps on one batch; the losses of the largest pass. */
async function pretrain(gpu: Gpu): Promise<{ state: PretrainState; losses: number[] }> {
  const config = smallRun({ moco: { queue: 64 } });
  const state = new PretrainState(gpu, config, elasticVgg());
  await state.initialise();
  const images = randomTensor(gpu, [16, 3, imageSize, imageSize], 1);
  const queue = new Map(state.objective.sources).get("queue") as Tensor;
  const keys = await queue.read();
  const slots = Tensor.zeros(gpu, [3]);
  const losses: number[] = [];
  for (let step = 0; step < 8; step++) {
    const passes = state.space.sandwich(new Random(1, purpose.test, step), config.sandwich);
    await recordStep(state, {
      views: [{ images }, { images }],
      architectures: passes.map(({ architecture }) => architecture),
      learningRate: 0.05,
      losses: slots,
    });
    losses.push((await slots.read())[0]);
    // Its own keys in the queue would make the one batch ever harder.
    queue.write(keys);
  }
  return { state, losses };
}

gpuTest("a network of plain convolutions is pretrained, ranked, cut and exported", async (gpu) => {
  const { state, losses } = await pretrain(gpu);
  assert(losses.every(Number.isFinite) && losses.at(-1)! < 0.9 * losses[0], `losses ${losses}`);
  const { encoder, space } = state;
  const { network } = encoder;
  assertEquals([space.size, space.min.id, space.max.id], [64, "4.1-8.1-12.1", "8.2-12.3-16.2"]);

  // Ranked along its tree, against itself.
  const places = choosePlaces(network, "detection", "cka");
  assertEquals(places.map(({ name }) => name), ["full", "half", "quarter"]);
  const tree = buildTree(network, [...space.enumerate()], places);
  const { blocks, macs: work } = countWork(imageSize, tree);
  assertEquals(blocks, { tree: 4 + 4 * (6 + 4 * 4), alone: 64 * (1.5 + 2 + 1.5) });
  assertEquals(work.alone, tree.candidates.reduce((sum, one) => sum + macs(network, one, imageSize), 0));
  const { scores } = await searchTree({
    gpu,
    student: encoder,
    teacher: encoder,
    tree,
    metric: similarityMetric(gpu, { metric: "cka" }),
    mode: "batch",
    images: 16,
    batch: 16,
    load: () => Promise.resolve(randomTensor(gpu, [16, 3, imageSize, imageSize], 5)),
    signal: new AbortController().signal,
  });
  const names = places.map(({ name }) => name);
  const { candidates } = rankCandidates(network, tree.candidates, names, scores!, {
    groupSize: 1e9,
    imageSize,
  });
  assertEquals(candidates[0].arch, space.max.id);
  assertClose([candidates[0].score], [1], 1e-4, "the largest is like itself");
  assert(candidates[1].score < 0.999);

  // Cut, also at a depth between the choices, and written and read.
  const images = { shape: [2, 3, imageSize, imageSize], data: randomValues(6 * imageSize ** 2, 9) };
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  for (const id of ["max", "4.2-8.2-16.1", candidates[5].arch]) {
    const architecture = space.resolve(id);
    const model = await extractSubnet(encoder, architecture, input, undefined);
    const stored = [...model.weights].filter(([name]) => !name.includes("running"));
    assertEquals(
      stored.reduce((sum, [, { data }]) => sum + data.length, 0),
      parameters(network, architecture),
    );
    await writeModel(path, model);
    const cut = uploadModel(gpu, await readModel(path, undefined, network));
    const expected = await evaluateFeatures(encoder, architecture, images);
    const found = await evaluateFeatures(cut.encoder, cut.network.space.max, images);
    assertEquals([...found.keys()], ["full", "half", "quarter", "features"]);
    for (const [name, { data }] of expected) assertClose(found.get(name)!.data, data, 1e-6, `${id} ${name}`);

    // Exported: every node reads what stands before it; the outputs are the taps.
    const { graph } = describeOnnx(model);
    const known = new Set([...graph.inputs, ...graph.initializers].map(({ name }) => name));
    for (const { inputs, outputs } of graph.nodes) {
      assert(inputs.every((name) => known.has(name)));
      outputs.forEach((name) => known.add(name));
    }
    assertEquals(graph.outputs.map(({ name }) => known.has(name) && name), [...found.keys()]);
    assertEquals(graph.outputs.at(-1)!.shape, ["N", featureChannels(network, architecture)]);
    const units = architecture.choices[1] + architecture.choices[3] + architecture.choices[5];
    const operators = graph.nodes.map(({ operator }) => operator);
    assertEquals(operators.filter((one) => one === "Conv").length, units);
    assertEquals(operators.filter((one) => one === "MaxPool").length, 2);
    assert((await encodeOnnx(describeOnnx(model))).length > 4 * parameters(network, architecture));
  }
  await Deno.remove(path);
});
