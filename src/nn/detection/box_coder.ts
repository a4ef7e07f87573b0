/** Boxes relative to other boxes (Girshick et al. 2014): what regressors predict. In float32, as torchvision's `BoxCoder`. */
import { ShapeError } from "../../errors.ts";
import { boxCount, type Boxes } from "./boxes.ts";

const f32 = Math.fround;

/** Factors of the offsets of the centre in x and y, of width and height. */
export type BoxWeights = readonly [x: number, y: number, width: number, height: number];

/** Of the deltas of a region proposal network. */
export const proposalWeights: BoxWeights = [1, 1, 1, 1];

/** The largest logarithm of a growth that is decoded. */
export const mostGrowth = f32(Math.log(1000 / 16));

/**
 * Where targets lie seen from other boxes: for x, weight (target centre - centre) / width and weight ln(target width / width),
 * likewise y.
 *
 * @param targets as many as `boxes`, with an area
 * @returns x, y, width, height of each
 */
export function encodeBoxes(targets: Boxes, boxes: Boxes, weights: BoxWeights): Float32Array<ArrayBuffer> {
  if (targets.length !== boxes.length) {
    throw new ShapeError(`encodeBoxes: ${boxCount(targets)} targets for ${boxCount(boxes)} boxes`);
  }
  const codes = new Float32Array(boxes.length);
  for (let at = 0; at < boxes.length; at += 4) {
    for (const axis of [0, 1]) {
      const size = f32(boxes[at + 2 + axis] - boxes[at + axis]);
      const centre = f32(boxes[at + axis] + f32(0.5 * size));
      const targetSize = f32(targets[at + 2 + axis] - targets[at + axis]);
      const targetCentre = f32(targets[at + axis] + f32(0.5 * targetSize));
      codes[at + axis] = f32(f32(weights[axis]) * f32(targetCentre - centre)) / size;
      codes[at + 2 + axis] = f32(weights[2 + axis]) * f32(Math.log(f32(targetSize / size)));
    }
  }
  return codes;
}

/**
 * The boxes that codes mean, seen from other boxes; widths and heights grow at most 62.5-fold.
 *
 * @param codes of each box one or several in a row, e.g. one for each class
 * @returns as many boxes as codes, in their order
 */
export function decodeBoxes(codes: Float32Array, boxes: Boxes, weights: BoxWeights): Boxes {
  const each = boxes.length === 0 ? 0 : codes.length / boxes.length;
  if (!Number.isInteger(each) || boxes.length === 0 && codes.length > 0) {
    throw new ShapeError(`decodeBoxes: ${codes.length} numbers for ${boxCount(boxes)} boxes`);
  }
  const decoded = new Float32Array(codes.length);
  for (let at = 0; at < codes.length; at += 4) {
    const box = 4 * Math.floor(at / 4 / each);
    for (const axis of [0, 1]) {
      const size = f32(boxes[box + 2 + axis] - boxes[box + axis]);
      const from = f32(boxes[box + axis] + f32(0.5 * size));
      const growth = Math.min(f32(codes[at + 2 + axis] / f32(weights[2 + axis])), mostGrowth);
      const centre = f32(f32(f32(codes[at + axis] / f32(weights[axis])) * size) + from);
      const half = f32(0.5 * f32(f32(Math.exp(growth)) * size));
      decoded[at + axis] = centre - half;
      decoded[at + 2 + axis] = centre + half;
    }
  }
  return decoded;
}
