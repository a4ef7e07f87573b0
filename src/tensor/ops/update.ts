/** What changes state outside a network: the optimiser, the moving average, the queue. None is differentiated. */
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { expectShape, type Tensor } from "../tensor.ts";
import { kernel } from "../../gpu/kernel.ts";
import sgdSource from "../../../kernels/sgd.wgsl" with { type: "text" };
import emaSource from "../../../kernels/ema.wgsl" with { type: "text" };
import queueWriteSource from "../../../kernels/queue_write.wgsl" with { type: "text" };

const sgdKernel = kernel("sgd", sgdSource);
const emaKernel = kernel("ema", emaSource);
const queueWriteKernel = kernel("queue_write", queueWriteSource);

/** Settings of one optimiser step. */
export interface SgdSettings {
  learningRate: number;
  momentum: number;
  weightDecay: number;
}

/**
 * One step of SGD with momentum and weight decay, as `torch.optim.SGD`.
 * @param value parameters, changed in place; a multiple of four elements, as the other two
 * @param momentum the momentum buffer, changed in place
 * @param scale [1], what the gradient is multiplied by first
 */
export function sgdStep(
  gpu: Gpu,
  value: Tensor,
  gradient: Tensor,
  momentum: Tensor,
  settings: SgdSettings,
  scale?: Tensor,
): void {
  gpu.stream.dispatch({
    kernel: sgdKernel,
    constants: { SCALED: scale !== undefined },
    buffers: { value, gradient, momentum, scale },
    params: {
      quads: value.length / 4,
      learningRate: settings.learningRate,
      momentumFactor: settings.momentum,
      weightDecay: settings.weightDecay,
    },
    grid: linearGrid(value.length / 4, 64),
    turns: 0,
    work: { bytes: 5 * value.byteLength },
  });
}

/** average = decay average + (1 - decay) value, in place; both a multiple of four elements. */
export function emaStep(gpu: Gpu, value: Tensor, average: Tensor, decay: number): void {
  gpu.stream.dispatch({
    kernel: emaKernel,
    buffers: { value, average },
    params: { quads: value.length / 4, decay },
    grid: linearGrid(value.length / 4, 64),
    turns: 0,
    work: { bytes: 3 * value.byteLength },
  });
}

/**
 * Writes keys into the ring from row `pointer` on, around its end where necessary.
 * @param keys [B, D]
 * @param queue [K, D] with K >= B
 * @returns the next pointer
 */
export function enqueue(gpu: Gpu, keys: Tensor, queue: Tensor, pointer: number): number {
  const [rows, dimension] = keys.shape;
  const [length] = queue.shape;
  expectShape("enqueue", "the queue", queue.shape, [-1, dimension]);
  gpu.stream.dispatch({
    kernel: queueWriteKernel,
    buffers: { keys, queue },
    params: { rows, dimension, length, pointer },
    grid: linearGrid(keys.length, 64),
    turns: 0,
    work: { bytes: 2 * keys.byteLength },
  });
  return (pointer + rows) % length;
}
