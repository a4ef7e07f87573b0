/** Linear interpolation along one axis: the numbers behind kernels/include/linear_places.wgsl. */
import { ShapeError } from "../../errors.ts";

/** Positions of outputs among the inputs: `(o * step + offset) / unit`, clamped. */
export interface LinearAxis {
  readonly size: number;
  readonly outSize: number;
  readonly step: number;
  readonly offset: number;
  readonly unit: number;
}

/**
 * @param size inputs along the axis
 * @param outSize outputs along the axis
 * @param alignCorners the outermost inputs and outputs have their centres together, as PyTorch's `align_corners`; false:
 *   their outer edges
 * @throws {ShapeError} for no output, or sizes whose positions do not fit into 32 bits
 */
export function linearAxis(
  operation: string,
  size: number,
  outSize: number,
  alignCorners: boolean,
): LinearAxis {
  if (!Number.isInteger(outSize) || outSize < 1 || size < 1) {
    throw new ShapeError(`${operation}: from a side of ${size} to ${outSize}; both take at least 1`);
  }
  if ((size + 2) * (outSize + 2) > 2 ** 30) {
    throw new ShapeError(`${operation}: from a side of ${size} to ${outSize}; their product is at most 2^30`);
  }
  if (!alignCorners) return { size, outSize, step: 2 * size, offset: size - outSize, unit: 2 * outSize };
  // One output lies on the first input.
  if (outSize === 1) return { size, outSize, step: 0, offset: 0, unit: 1 };
  return { size, outSize, step: size - 1, offset: 0, unit: outSize - 1 };
}

/** Most outputs that read one input; the second is read by all that lie before the first, too, with weight 0. */
export function mostReaders({ outSize, step, offset, unit }: LinearAxis): number {
  return step === 0 ? outSize : Math.min(outSize, Math.ceil((2 * unit - Math.min(offset, 0)) / step));
}

/** The parameters of a kernel for both axes of a map. */
export function planeParams(y: LinearAxis, x: LinearAxis): Record<string, number> {
  return {
    inHeight: y.size,
    inWidth: x.size,
    outHeight: y.outSize,
    outWidth: x.outSize,
    stepY: y.step,
    offsetY: y.offset,
    unitY: y.unit,
    stepX: x.step,
    offsetX: x.offset,
    unitX: x.unit,
  };
}
