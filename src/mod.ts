/**
 * Scion as a library: elastic networks on WebGPU, pretrained without labels, ranked, cut out. What it takes to build and
 * train one is here; the rest is behind `@scion/scion/engine` (operations, kernels of one's own, units), `/train`
 * (objectives, optimisers, runs), `/search` (ranking, features, models) and `/data`.
 *
 * - {@linkcode Gpu} is a device; {@linkcode Tensor} is memory on it, released by hand or by `using`: the garbage collector
 *   does not see it. Operations record commands, which run when something is read back.
 * - {@linkcode Tape} differentiates what is recorded on it; a loss is a value like any other.
 * - {@linkcode ElasticResNet} over a {@linkcode SearchSpace} is a network of many sizes; {@linkcode Encoder} holds its weights,
 *   once, and runs any {@linkcode Architecture} of it.
 * - {@linkcode MomentumContrast} trains all of them at once without labels; {@linkcode rankSubnets} says which resemble the
 *   largest most; {@linkcode extractSubnet} cuts one out as plain weights.
 *
 * @example An elastic network pretrained without labels, its subnets ranked, the best one cut out
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import {
 *   ElasticResNet,
 *   extractSubnet,
 *   LoadedImages,
 *   MomentumContrast,
 *   openGpu,
 *   rankSubnets,
 *   recordStep,
 *   SearchSpace,
 *   Sgd,
 *   Tensor,
 * } from "@scion/scion";
 *
 * using gpu = await openGpu();
 * const space = new SearchSpace({
 *   block: "basic",
 *   stem: { kind: "3x3", widths: [8] },
 *   widths: [[8], [8, 16]],
 *   depths: [[1, 2], [1]],
 *   strides: [1, 2],
 * });
 * using objective = new MomentumContrast(gpu, new ElasticResNet(space), {
 *   head: { kind: "linear", hidden: 0, dimension: 8 },
 *   moco: { queue: 64 },
 * });
 * using optimizer = new Sgd(gpu, objective.encoder.weights, "encoder_q", { momentum: 0.9, weightDecay: 1e-4 });
 * await objective.initialise();
 *
 * using images = await LoadedImages.open(gpu, "synthetic:64", { imageSize: 16 });
 * using losses = Tensor.zeros(gpu, [2]);
 * const trained = { objective, optimizer, step: 0 };
 * while (trained.step < 8) {
 *   using batch = await images.batch(trained.step, 32, objective);
 *   const architectures = [space.max, space.min];
 *   await recordStep(trained, { views: batch.views, architectures, learningRate: 0.03, losses });
 * }
 * assert((await losses.read()).every((loss) => loss > 0 && loss < 10));
 *
 * const { encoder: student, momentumEncoder: teacher } = objective;
 * const { ranking } = await rankSubnets(gpu, {
 *   student,
 *   teacher,
 *   images,
 *   imageSize: 16,
 *   candidates: [...space.enumerate()],
 *   similarity: { metric: "cosine" },
 * });
 * console.log(ranking!.groups.map(({ best }) => `${best.arch}: ${best.score.toFixed(3)}`).join("\n"));
 * const best = space.resolve(ranking!.candidates[0].arch);
 * const model = await extractSubnet(student, best, images.input, images.calibration);
 * assertEquals(ranking!.candidates.length, 4);
 * assertEquals(model.weights.get("conv1.weight")!.shape, [8, 3, 3, 3]);
 * ```
 *
 * @module
 */

export { type AdapterFacts, Gpu } from "./gpu/device.ts";
export { openGpu } from "./host/adapter.ts";
export { Tensor } from "./tensor/tensor.ts";
export type { Shape } from "./shape.ts";
export { type Recording, Tape } from "./tensor/tape.ts";
export type { Parameter } from "./tensor/parameter.ts";
export { type Architecture, formatArchitecture } from "./elastic/architecture.ts";
export { macs, parameters } from "./elastic/costs.ts";
export { SearchSpace, type SpaceDefinition } from "./elastic/search_space.ts";
export { ElasticResNet } from "./nn/resnet.ts";
export { Encoder } from "./nn/encoder.ts";
export { LoadedImages, type LoadSettings } from "./data/loaded_images.ts";
export { type MocoDefinition, MomentumContrast } from "./train/moco/moco.ts";
export { Sgd, type SgdOptions } from "./train/optimizer.ts";
export { recordStep, type StepInput, type Trained } from "./train/step.ts";
export { type RankHooks, type RankOutcome, type RankRequest, rankSubnets } from "./search/rank_subnets.ts";
export { extractSubnet } from "./extract/extract.ts";
export type { PlainModel } from "./extract/model.ts";
export { readModel, writeModel } from "./extract/model_file.ts";
export { ScionError } from "./errors.ts";
export { version } from "./version.ts";
