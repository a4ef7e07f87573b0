/**
 * The engine: device, tensors, differentiation, operations, kernels of one's own, layers and elastic networks.
 *
 * @example Another elastic network: a convolution and a linear layer, trained at two widths in turn
 * ```ts
 * import { assert } from "@std/assert";
 * import {
 *   Arena,
 *   convolution,
 *   globalAveragePool,
 *   openGpu,
 *   linear,
 *   purpose,
 *   Random,
 *   relu,
 *   sgdStep,
 *   softmaxCrossEntropy,
 *   Tape,
 *   Tensor,
 *   Weights,
 * } from "@scion/scion/engine";
 *
 * using gpu = await openGpu();
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
 * @module
 */

export { type AdapterFacts, type AssumedFacts, Gpu, wantedLimits } from "../gpu/device.ts";
export { findAdapter, openGpu } from "../host/adapter.ts";
export { BufferPool, type MemoryUse, type PooledBuffer } from "../gpu/buffers.ts";
export { CommandStream } from "../gpu/stream.ts";
export { type BufferRange, type Dispatch, linearGrid, type Work } from "../gpu/dispatch.ts";
export { type CuttableLoop, loop, mostLoopTurns } from "../gpu/limits.ts";
export { type Kernel, kernel } from "../gpu/kernel.ts";
export { PipelineCache } from "../gpu/pipelines.ts";
export { formatProfile, type KernelTime, Profiler } from "../gpu/profiler.ts";
export type { KernelConstants, KernelInterface, ParameterField, StorageBinding } from "../gpu/wgsl.ts";

export { Tensor } from "../tensor/tensor.ts";
export { elements, type Shape } from "../shape.ts";
export type { GradientTarget } from "../tensor/gradient_target.ts";
export { type GradientStart, type Recording, Tape } from "../tensor/tape.ts";
export type { Parameter } from "../tensor/parameter.ts";

export { batchnorm, type BatchnormOptions, type RunningStatistics } from "../tensor/ops/batchnorm.ts";
export { adaptiveAveragePool } from "../tensor/ops/adaptive_pool.ts";
export { bilinear, type BilinearOptions } from "../tensor/ops/bilinear.ts";
export { concatenate } from "../tensor/ops/concatenate.ts";
export { convolution, type ConvolutionOptions } from "../tensor/ops/convolution.ts";
export { add, average, relu, scale } from "../tensor/ops/elementwise.ts";
export { gatherRows } from "../tensor/ops/gather_rows.ts";
export { l2Normalise } from "../tensor/ops/l2_normalise.ts";
export { linear, type LinearOptions } from "../tensor/ops/linear.ts";
export { matmul, type MatmulOptions } from "../tensor/ops/matmul.ts";
export { dropout, type DropoutOptions } from "../tensor/ops/dropout.ts";
export {
  type ElementwiseLossOptions,
  sigmoidCrossEntropy,
  smoothL1,
  type SmoothL1Options,
} from "../tensor/ops/elementwise_losses.ts";
export { addNearest } from "../tensor/ops/nearest.ts";
export { globalAveragePool, maxPool } from "../tensor/ops/pool.ts";
export { type FeatureLevel, type Regions, roiAlign } from "../tensor/ops/roi_align.ts";
export type { RoiSampling } from "../tensor/ops/roi_align_table.ts";
export {
  transposedConvolution,
  type TransposedConvolutionOptions,
} from "../tensor/ops/transposed_convolution.ts";
export { distributionCrossEntropy, softmaxTargets } from "../tensor/ops/distribution.ts";
export { infoNce, softmaxCrossEntropy } from "../tensor/ops/softmax.ts";
export { cosineLoss } from "../tensor/ops/cosine_loss.ts";
export { emaStep, enqueue, type SgdSettings, sgdStep } from "../tensor/ops/update.ts";

export { Arena, ArenaLayout, type Placement } from "../nn/arena.ts";
export { Statistics, Weights, type WeightShapes } from "../nn/weights.ts";
export {
  ConvolutionBatchnorm,
  type ConvolutionBatchnormDefinition,
  MaxPool,
  type NetworkLayer,
  type NetworkUnit,
  type Pass,
  runUnit,
} from "../nn/layers.ts";
export { type Features, type Network, runNetwork } from "../nn/network.ts";
export { type HostWeights, OnnxGraph } from "../nn/onnx_graph.ts";
export { ElasticResNet, type ResidualBlock, type ResNetOptions } from "../nn/resnet.ts";
export {
  Encoder,
  type GivenValues,
  type HeadDefinition,
  type Initialisation,
  type PassOptions,
} from "../nn/encoder.ts";

export { type Architecture, formatArchitecture } from "../elastic/architecture.ts";
export {
  type ArchitectureForm,
  ChoiceSpace,
  type Dimension,
  type SandwichDefinition,
  type SandwichPass,
} from "../elastic/choice_space.ts";
export { macs, parameters } from "../elastic/costs.ts";
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
} from "../elastic/network.ts";
export { parseArchitecture, type ResNetArchitecture } from "../elastic/resnet_architecture.ts";
export { SearchSpace, type SpaceDefinition } from "../elastic/search_space.ts";
export {
  type Layer,
  type LayerCall,
  type ParameterDefinition,
  sequence,
  type Start,
  traceUnit,
  type Unit,
  type UnitTrace,
} from "../elastic/unit.ts";

export {
  ConfigurationError,
  DataError,
  DeviceLimitError,
  GpuError,
  GradientError,
  LifetimeError,
  LoopLimitError,
  ScionError,
  ShapeError,
  TrainingError,
  UsageError,
} from "../errors.ts";
export { type Purpose, purpose, Random } from "../random.ts";
export { version } from "../version.ts";
