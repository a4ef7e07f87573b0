/**
 * Scion as a library: a WebGPU compute engine with hand-written kernels, elastic layers on it, and what the commands
 * are made of. The `examples` below run as tests.
 *
 * - {@linkcode Gpu} opens the device; {@linkcode Tensor} is memory on it. Operations record commands, which run when
 *   something is read back. A tensor is released by hand: the garbage collector does not see the device's memory.
 * - {@linkcode Tape} differentiates: operations that take one are recorded on it, `backward` adds gradients to the
 *   {@linkcode Parameter}s. Parameters are stored at full width; an operation uses the leading slice that its input and
 *   its options ask for, so that networks of all sizes share one set of weights and nothing is ever copied.
 * - {@linkcode Encoder} is an elastic ResNet with its weights; {@linkcode SearchSpace} says which
 *   {@linkcode Architecture}s can be cut out of it.
 * - {@linkcode startRun} pretrains, {@linkcode recordStep} is one step of it; {@linkcode similarityMetric} compares
 *   features; {@linkcode extractSubnet} cuts a subnet out as plain weights.
 *
 * @example Another elastic network: a convolution and a linear layer, trained at two widths in turn
 * ```ts
 * import { assert } from "@std/assert";
 * import {
 *   Arena,
 *   convolution,
 *   globalAveragePool,
 *   Gpu,
 *   linear,
 *   purpose,
 *   Random,
 *   relu,
 *   sgdStep,
 *   softmaxCrossEntropy,
 *   Tape,
 *   Tensor,
 *   Weights,
 * } from "@scion/scion";
 *
 * using gpu = await Gpu.open();
 *
 * // Shapes at full width. Weights that share an arena are optimised in one launch.
 * const parameters = new Map([
 *   ["convolution.weight", [16, 1, 3, 3]],
 *   ["linear.weight", [2, 16]],
 *   ["linear.bias", [2]],
 * ]);
 * const weights = new Weights(gpu, { parameters, statistics: new Map() }, true);
 * const momentum = new Arena(gpu, weights.values.layout);
 * const random = new Random(1, purpose.initialisation);
 * for (const [, tensor] of weights.values.entries()) {
 *   tensor.write(Float32Array.from({ length: tensor.length }, () => 0.3 * random.normal()));
 * }
 *
 * // Eight images of 8 x 8: vertical stripes are class 0, horizontal ones class 1.
 * const labels = Tensor.from(gpu, Uint32Array.from({ length: 8 }, (_, image) => image % 2));
 * const pixels = Float32Array.from({ length: 8 * 64 }, (_, at) => {
 *   const [image, row, column] = [at >> 6, (at >> 3) & 7, at & 7];
 *   return ((image % 2 ? row : column) % 2) + 0.1 * random.normal();
 * });
 * const images = Tensor.from(gpu, pixels, [8, 1, 8, 8]);
 *
 * const losses = Tensor.zeros(gpu, [40]);
 * for (let step = 0; step < 40; step++) {
 *   const width = step % 2 === 0 ? 16 : 4; // the first so many channels
 *   using tape = new Tape(gpu, true);
 *   const maps = relu(
 *     tape,
 *     convolution(tape, images, weights.parameter("convolution.weight"), { outChannels: width, padding: 1 }),
 *   );
 *   const logits = linear(
 *     tape,
 *     globalAveragePool(tape, maps),
 *     weights.parameter("linear.weight"),
 *     weights.parameter("linear.bias"),
 *   );
 *   weights.gradients!.clear();
 *   const loss = softmaxCrossEntropy(tape, logits, labels);
 *   gpu.stream.copy(loss, losses.slice(step, []));
 *   tape.backward(loss);
 *   weights.values.chunks.forEach((value, chunk) =>
 *     sgdStep(gpu, value, weights.gradients!.chunks[chunk], momentum.chunks[chunk], {
 *       learningRate: 0.3,
 *       momentum: 0.9,
 *       weightDecay: 0,
 *     })
 *   );
 * }
 *
 * // Nothing has been waited for until here.
 * const [wide, narrow, ...rest] = await losses.read();
 * console.log(`loss ${wide.toFixed(3)} -> ${rest.at(-2)!.toFixed(3)} at width 16`);
 * console.log(`loss ${narrow.toFixed(3)} -> ${rest.at(-1)!.toFixed(3)} at width 4`);
 * assert(rest.at(-2)! < 0.5 * wide && rest.at(-1)! < 0.5 * narrow);
 * ```
 *
 * @example Ranking two subnets without labels: whose features are more like the largest network's?
 * ```ts
 * import { assert } from "@std/assert";
 * import {
 *   ElasticResNet,
 *   Encoder,
 *   formatArchitecture,
 *   Gpu,
 *   ScoreTable,
 *   SearchSpace,
 *   similarityMetric,
 *   Tape,
 *   Tensor,
 * } from "@scion/scion";
 *
 * using gpu = await Gpu.open();
 * const space = new SearchSpace({
 *   block: "basic",
 *   stem: { kind: "3x3", widths: [8] },
 *   widths: [[8], [8, 16]],
 *   depths: [[1, 2], [1]],
 *   strides: [1, 2],
 *   named: { shallow: "8-8.16-1.1" },
 * });
 * const encoder = new Encoder(gpu, new ElasticResNet(space), undefined, false);
 * await encoder.initialise(1, { head: "kaiming", lastBatchnorm: 1 });
 *
 * const values = Float32Array.from({ length: 16 * 3 * 64 }, (_, at) => Math.sin(at * at));
 * const images = Tensor.from(gpu, values, [16, 3, 8, 8]);
 * const tape = new Tape(gpu, false);
 * const features = (name: string) => {
 *   // Batch statistics; of its own running statistics an untrained network has none.
 *   const pass = encoder.pass({ tape, training: true, batchnormGroups: 1 });
 *   return encoder.features(pass, images, space.resolve(name), ["c3"]).taps.get("c3")!;
 * };
 *
 * const metric = similarityMetric(gpu, { metric: "cka" });
 * const teacher = metric.prepareTeacher(features("max"));
 * const names = ["max", "shallow", "min"];
 * const table = new ScoreTable(gpu, metric, names.length);
 * names.forEach((name, slot) => teacher.accumulate(features(name), table, slot));
 * const scores = await table.scores();
 * tape.release();
 *
 * names.forEach((name, at) =>
 *   console.log(formatArchitecture(space.resolve(name)), scores[at].toFixed(3))
 * );
 * assert(Math.abs(scores[0] - 1) < 1e-3); // the largest is like itself
 * assert(scores[1] > scores[2]);
 * ```
 *
 * @example A step of pretraining, then a subnet as a file
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import {
 *   extractSubnet,
 *   Gpu,
 *   openSource,
 *   openViews,
 *   parseConfig,
 *   PretrainState,
 *   readModel,
 *   recordStep,
 *   Tensor,
 *   writeModel,
 * } from "@scion/scion";
 *
 * using gpu = await Gpu.open();
 * const config = parseConfig({
 *   space: {
 *     block: "basic",
 *     stem: { kind: "3x3", widths: [8] },
 *     widths: [[8], [8, 16]],
 *     depths: [[1, 2], [1]],
 *     strides: [1, 2],
 *   },
 *   data: { source: "synthetic:16", imageSize: 16, heldOut: 0 },
 *   head: { hidden: 16, dimension: 8 },
 *   moco: { queue: 16 },
 *   training: { batch: 16 },
 * }, "example");
 * const { data, augmentation, training: { seed }, optimizer } = config;
 * const state = new PretrainState(gpu, config);
 * await state.initialise();
 *
 * const source = await openSource(data.source, { imageSize: data.imageSize, seed });
 * const views = await openViews(gpu, source, { ...data, augmentation, seed });
 * const batch = Uint32Array.from({ length: 16 }, (_, index) => index);
 * const architectures = [state.space.max, state.space.min];
 * const losses = Tensor.zeros(gpu, [2]);
 * const [queryImages, keyImages] = await views.views(state.step, [batch, batch]);
 * const { learningRate } = optimizer;
 * const both = [{ images: queryImages }, { images: keyImages }];
 * await recordStep(state, { views: both, architectures, learningRate, losses });
 * console.log("losses of the largest and the smallest:", await losses.read());
 * assert((await losses.read()).every((loss) => loss > 0 && loss < 20));
 *
 * // Batchnorm statistics are taken anew for the subnet, here from the same images.
 * const calibration = {
 *   images: 16,
 *   source: data.source,
 *   batches: async function* () {
 *     yield (await views.evaluationBatch(batch)).images;
 *   },
 * };
 * const model = await extractSubnet(state.encoder, state.space.min, data, calibration);
 * const file = await Deno.makeTempFile({ suffix: ".safetensors" });
 * await writeModel(file, model);
 * assertEquals((await readModel(file)).weights.get("layer2.0.conv1.weight")!.shape, [8, 8, 3, 3]);
 * await Deno.remove(file);
 * views.close();
 * source.close();
 * ```
 *
 * @module
 */

// Device.
export { type AdapterFacts, Gpu } from "./gpu/device.ts";
export { BufferPool, type MemoryUse, type PooledBuffer } from "./gpu/buffers.ts";
export { type BufferRange, CommandStream, type Dispatch, linearGrid, type Work } from "./gpu/stream.ts";
export { type Kernel, kernel } from "./gpu/kernel.ts";
export { PipelineCache } from "./gpu/pipelines.ts";
export { formatProfile, type KernelTime, Profiler } from "./gpu/profiler.ts";
export type { KernelConstants, KernelInterface, ParameterField, StorageBinding } from "./gpu/wgsl.ts";

// Tensors and differentiation.
export { elements, type Shape, Tensor } from "./tensor/tensor.ts";
export type { GradientTarget } from "./tensor/gradient_target.ts";
export { type GradientStart, type Recording, Tape } from "./tensor/tape.ts";
export type { Parameter } from "./tensor/parameter.ts";

// Operations.
export { batchnorm, type BatchnormOptions, type RunningStatistics } from "./tensor/ops/batchnorm.ts";
export { convolution, type ConvolutionOptions } from "./tensor/ops/convolution.ts";
export { add, average, relu, scale } from "./tensor/ops/elementwise.ts";
export { gatherRows } from "./tensor/ops/gather_rows.ts";
export { l2Normalise } from "./tensor/ops/l2_normalise.ts";
export { linear, type LinearOptions } from "./tensor/ops/linear.ts";
export { matmul, type MatmulOptions } from "./tensor/ops/matmul.ts";
export { globalAveragePool, maxPool } from "./tensor/ops/pool.ts";
export { infoNce, softmaxCrossEntropy } from "./tensor/ops/softmax.ts";
export { emaStep, enqueue, type SgdSettings, sgdStep } from "./tensor/ops/update.ts";

// Elastic layers and networks.
export { Arena, ArenaLayout, type Placement } from "./nn/arena.ts";
export { Statistics, Weights, type WeightShapes } from "./nn/weights.ts";
export {
  ConvolutionBatchnorm,
  type ConvolutionBatchnormDefinition,
  MaxPool,
  type NetworkLayer,
  type NetworkUnit,
  type Pass,
  runUnit,
} from "./nn/layers.ts";
export { type Features, type Network, runNetwork } from "./nn/network.ts";
export { type HostWeights, OnnxGraph } from "./nn/onnx_graph.ts";
export { ElasticResNet, type ResidualBlock, type ResNetOptions } from "./nn/resnet.ts";
export { Encoder, type HeadDefinition, type Initialisation, type PassOptions } from "./nn/encoder.ts";

// Elastic networks as lists of units, and their choices.
export { type Architecture, formatArchitecture } from "./elastic/architecture.ts";
export {
  type ArchitectureForm,
  ChoiceSpace,
  type Dimension,
  type SandwichDefinition,
  type SandwichPass,
} from "./elastic/choice_space.ts";
export { macs, parameters } from "./elastic/costs.ts";
export {
  type ElasticNetwork,
  elasticNetwork,
  featureChannels,
  type PlacedUnit,
  type Segment,
  segment,
  type SegmentDefinition,
  tapNames,
  tapShapes,
  unitsOf,
  type WeightDefinitions,
  weightsOf,
} from "./elastic/network.ts";
export { parseArchitecture, type ResNetArchitecture } from "./elastic/resnet_architecture.ts";
export { SearchSpace, type SpaceDefinition } from "./elastic/search_space.ts";
export {
  type Layer,
  type LayerCall,
  type ParameterDefinition,
  sequence,
  type Start,
  traceUnit,
  type Unit,
  type UnitTrace,
} from "./elastic/unit.ts";

// Images.
export {
  type DecodedImage,
  type ImageSource,
  openSource,
  type SkippedFile,
  type SourceOptions,
  type TensorSource,
} from "./data/source.ts";
export { streamImages, type StreamSettings } from "./data/stream.ts";
export { type EvaluationBatch, openViews, type ViewMaker, type ViewSettings } from "./data/views.ts";

// Pretraining.
export { loadConfig, parseConfig } from "./config/load.ts";
export type { Override } from "./config/overrides.ts";
export type { Config } from "./config/schema.ts";
export { loadCheckpoint, openCheckpoint, saveCheckpoint } from "./pretrain/checkpoint.ts";
export { openEncoder } from "./pretrain/encoder_file.ts";
export {
  type PretrainHooks,
  type PretrainOutcome,
  type ResumeOptions,
  resumeRun,
  startRun,
} from "./pretrain/pretrain.ts";
export { PretrainState } from "./pretrain/state.ts";
export { recordStep, type StepInput } from "./train/step.ts";
export type { StepTimes } from "./pretrain/step_times.ts";
export type { TrainingObserver, TrainingResult } from "./pretrain/trainer.ts";
export { RunFolder, type StoredConfig } from "./store/run_folder.ts";
export type { KnnMetrics, MetricsLine, StepMetrics } from "./store/metrics.ts";
export type { Dtype, DtypeArrays, TensorOf } from "./store/safetensors_header.ts";

// Features, evaluation, similarity.
export { recalibrate } from "./evaluate/calibrate.ts";
export { extractFeatures, type FeatureKind, type FeatureMatrix } from "./evaluate/features.ts";
export { knnAccuracy, type KnnSettings, type LabelledFeatures } from "./evaluate/knn.ts";
export {
  type PreparedTeacher,
  type SimilarityMetric,
  similarityMetric,
  type SimilarityOptions,
} from "./search/similarity/metric.ts";
export type { CkaEstimator, CkaSamples } from "./search/similarity/cka.ts";
export { ScoreTable, type TableFormat } from "./search/similarity/score_table.ts";

// Subnets cut out.
export type { ImageRequest } from "./data/chosen_images.ts";
export type { PlainWeights } from "./extract/cut.ts";
export { writeFeatures } from "./extract/embed.ts";
export { type CalibrationImages, extractSubnet } from "./extract/extract.ts";
export type { Calibration, ModelDescription, ModelInput, PlainModel } from "./extract/model.ts";
export { openModel, readModel, type RunnableModel, uploadModel, writeModel } from "./extract/model_file.ts";
export { type FrozenNetwork, openModelNetwork, openRunNetwork } from "./extract/network.ts";
export { writeOnnxModel } from "./extract/onnx_model.ts";

// What everything else needs.
export {
  ConfigurationError,
  DataError,
  GpuError,
  GradientError,
  LifetimeError,
  LoopLimitError,
  ScionError,
  ShapeError,
  TrainingError,
  UsageError,
} from "./errors.ts";
export { type Purpose, purpose, Random } from "./random.ts";
export { version } from "./version.ts";
