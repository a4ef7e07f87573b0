/** What is detected: boxes with classes and scores, out of what the heads say of regions. On the host. */
import { ShapeError } from "../../errors.ts";
import { type BoxWeights, decodeBoxes } from "./box_coder.ts";
import { boxCount, type Boxes, clipBoxes, type ImageSize, largeBoxes, takeBoxes } from "./boxes.ts";
import { groupedNms } from "./nms.ts";

/** How detections are sifted. */
export interface DetectionRule {
  /** Scores above it are looked at. */
  readonly scoreThreshold: number;
  /** Of each class by itself. */
  readonly nmsThreshold: number;
  /** The most that an image has, the best. */
  readonly most: number;
  /** Least side in pixels. */
  readonly leastSide: number;
  readonly weights: BoxWeights;
}

/** Detections of an image, by descending score. */
export interface Detections {
  readonly boxes: Boxes;
  readonly scores: Float32Array<ArrayBuffer>;
  /** Class of each, from 1 on. */
  readonly labels: Int32Array<ArrayBuffer>;
}

/** Rows of probabilities out of rows of logits. */
export function softmaxRows(logits: Float32Array, columns: number): Float32Array<ArrayBuffer> {
  const probabilities = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += columns) {
    const row = logits.subarray(start, start + columns);
    const highest = row.reduce((most, value) => Math.max(most, value), -Infinity);
    const sum = row.reduce((total, value) => total + Math.exp(value - highest), 0);
    row.forEach((value, at) => probabilities[start + at] = Math.exp(value - highest) / sum);
  }
  return probabilities;
}

/**
 * Detections of one image, as torchvision's `postprocess_detections`.
 *
 * @param proposals the regions
 * @param logits [regions, classes], the first of which is background
 * @param codes [regions, 4 x classes], or [regions, 4] for all classes
 * @param image its size without padding
 */
export function detect(
  proposals: Boxes,
  logits: Float32Array,
  codes: Float32Array,
  image: ImageSize,
  rule: DetectionRule,
): Detections {
  const regions = boxCount(proposals);
  if (regions === 0) {
    return { boxes: new Float32Array(0), scores: new Float32Array(0), labels: new Int32Array(0) };
  }
  const classes = logits.length / regions;
  const each = codes.length / regions / 4;
  if (each !== 1 && each !== classes) {
    throw new ShapeError(`detect: ${classes} logits and ${4 * each} codes of each region`);
  }
  const decoded = clipBoxes(decodeBoxes(codes, proposals, rule.weights), image);
  const scores = softmaxRows(logits, classes);
  const least = Math.fround(rule.scoreThreshold);
  const candidates: { readonly box: number; readonly score: number; readonly label: number }[] = [];
  for (let region = 0; region < regions; region++) {
    for (let label = 1; label < classes; label++) {
      const score = scores[region * classes + label];
      if (!(score > least)) continue;
      candidates.push({ box: region * each + (each === 1 ? 0 : label), score, label });
    }
  }
  const boxes = takeBoxes(decoded, candidates.map(({ box }) => box));
  const large = largeBoxes(boxes, rule.leastSide);
  const kept = groupedNms(
    takeBoxes(boxes, large),
    large.map((at) => candidates[at].score),
    large.map((at) => candidates[at].label),
    rule.nmsThreshold,
  ).slice(0, rule.most).map((at) => large[at]);
  return {
    boxes: takeBoxes(boxes, kept),
    scores: Float32Array.from(kept, (at) => candidates[at].score),
    labels: Int32Array.from(kept, (at) => candidates[at].label),
  };
}
