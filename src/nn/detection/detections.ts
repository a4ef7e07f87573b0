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
  /** Which of the logits is background's: the first in torchvision, the last in mmdet and detectron2. */
  readonly background: "first" | "last";
  readonly weights: BoxWeights;
}

/** Detections of an image, by descending score. */
export interface Detections {
  readonly boxes: Boxes;
  readonly scores: Float32Array<ArrayBuffer>;
  /** Place of each class among the logits. */
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
 * @param logits [regions, classes with background]
 * @param codes [regions, 4 x classes], those of background among them or not, or [regions, 4] for all classes
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
  if (![1, classes - 1, classes].includes(each)) {
    throw new ShapeError(`detect: ${classes} logits and ${4 * each} codes of each region`);
  }
  const first = rule.background === "first" ? 1 : 0;
  const decoded = clipBoxes(decodeBoxes(codes, proposals, rule.weights), image);
  const scores = softmaxRows(logits, classes);
  const least = Math.fround(rule.scoreThreshold);
  const candidates: { readonly box: number; readonly score: number; readonly label: number }[] = [];
  for (let region = 0; region < regions; region++) {
    for (let label = first; label < first + classes - 1; label++) {
      const score = scores[region * classes + label];
      if (!(score > least)) continue;
      const part = each === 1 ? 0 : each === classes ? label : label - first;
      candidates.push({ box: region * each + part, score, label });
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
