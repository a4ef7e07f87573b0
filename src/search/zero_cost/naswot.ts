/**
 * NASWOT (Mellor et al., "Neural architecture search without training", ICML 2021): an untrained network is worth more, the
 * better it tells images apart by which of its ReLUs are on.
 */
import type { Architecture } from "../../elastic/architecture.ts";
import { imageShape, unitsOf } from "../../elastic/network.ts";
import { traceUnit } from "../../elastic/unit.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Encoder } from "../../nn/encoder.ts";
import type { Network } from "../../nn/network.ts";
import { elements } from "../../shape.ts";
import { addConstant } from "../../tensor/gradient_target.ts";
import { relu } from "../../tensor/ops/elementwise.ts";
import { matmul } from "../../tensor/ops/matmul.ts";
import { Tape } from "../../tensor/tape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { logDeterminant } from "./log_determinant.ts";

/** Codes of one layer: how many ReLUs it has, and for each pair of images how many are on for both, [N, N]. */
interface LayerCodes {
  readonly units: number;
  readonly shared: Tensor;
}

/**
 * log |det K| of encoders of one architecture, K[i][j] being the number of ReLUs, of all layers, that are on for both
 * images or off for both: their number less the Hamming distance of the two codes. Batchnorm has the batch's statistics,
 * as in the published code. Images whose codes depend on those of others count once; see {@linkcode logDeterminant}.
 *
 * @param encoders on one device; their running statistics move
 * @param images [N, 3, H, W], normalised; kept
 * @returns a score for each encoder
 */
export async function naswot(
  encoders: readonly Encoder[],
  architecture: Architecture,
  images: Tensor,
): Promise<number[]> {
  const { gpu } = images;
  const codes = encoders.map((encoder) => layerCodes(encoder, architecture, images));
  try {
    const shared = await gpu.read(...codes.flat().map(({ shared }) => shared));
    return codes.map((layers) => {
      const own = shared.splice(0, layers.length).map((bytes) => new Float32Array(bytes));
      const [count] = images.shape;
      return logDeterminant(agreement(layers.map(({ units }, at) => [units, own[at]]), count), count);
    });
  } finally {
    for (const { shared } of codes.flat()) shared.release();
  }
}

/**
 * The kernel K of NASWOT.
 *
 * @param layers of each its number of ReLUs, and for each pair of images how many are on for both
 * @param images number of images
 * @returns [images, images], whole numbers
 */
export function agreement(
  layers: readonly (readonly [units: number, shared: ArrayLike<number>])[],
  images: number,
): Float64Array {
  const kernel = new Float64Array(images * images);
  for (const [units, shared] of layers) {
    const on = (image: number) => shared[image * (images + 1)];
    for (let at = 0; at < kernel.length; at++) {
      const row = Math.floor(at / images), column = at % images;
      kernel[at] += units - on(row) - on(column) + 2 * shared[at];
    }
  }
  return kernel;
}

/**
 * The most images, at least two, of those wanted, for which every feature map of a network fits into one buffer of the device.
 *
 * @param imageSize side of the square images, in pixels
 */
export function fittingImages(gpu: Gpu, network: Network, imageSize: number, wanted: number): number {
  let shape = imageShape(network, imageSize), largest = elements(shape);
  for (const { unit } of unitsOf(network, network.space.max)) {
    const { calls, output } = traceUnit(unit, shape);
    for (const call of calls) largest = Math.max(largest, elements(call.output));
    shape = output;
  }
  return Math.min(wanted, Math.max(2, Math.floor(gpu.pool.limit / (4 * largest))));
}

function layerCodes(encoder: Encoder, architecture: Architecture, images: Tensor): LayerCodes[] {
  const found: LayerCodes[] = [];
  using tape = new Tape(images.gpu, false);
  const pass = encoder.pass({ tape, training: true, batchnormGroups: 1 });
  let value = images;
  for (const { unit } of unitsOf(encoder.network, architecture)) {
    const input = value;
    value = tape.scope(() =>
      unit.forward<Tensor>((layer, ...inputs) => {
        const output = layer.run(pass, ...inputs);
        if (layer.rectified) found.push(codesOf(output));
        return output;
      }, input)
    );
    tape.discard(input);
  }
  return found;
}

/** Codes of a layer's result, all of which comes out of ReLUs. */
function codesOf(activations: Tensor): LayerCodes {
  const { gpu, shape: [images], length } = activations;
  const units = length / images;
  using on = derivatives(activations);
  using tape = new Tape(gpu, false);
  const rows = on.view([images, units]);
  // Sums of zeros and ones: exact in float32 up to 2^24 ReLUs of a layer, whatever the order.
  return { units, shared: tape.keep(matmul(tape, rows, rows, { transposeB: true })) };
}

/** The derivative of each ReLU by its own result: 1 where it is on, 0 where it is off. The caller releases it. */
function derivatives(activations: Tensor): Tensor {
  const { gpu, shape } = activations;
  using tape = new Tape(gpu, true);
  using ones = Tensor.create(gpu, shape);
  addConstant({ tensor: ones, accumulate: false }, 1);
  tape.watch(activations);
  tape.backward([relu(tape, activations), ones]);
  return tape.take(activations)!;
}
