/** What anchors, regions and masks are trained to say, on the host. */
import type { Random } from "../../random.ts";
import { axisWeights } from "../../tensor/ops/roi_align_table.ts";
import { type BoxWeights, encodeBoxes, proposalWeights } from "./box_coder.ts";
import { boxCount, type Boxes, type ImageSize, joinBoxes, takeBoxes } from "./boxes.ts";
import { background, matchBoxes, type MatchRule } from "./matcher.ts";
import { sampleBoxes, type SampleRule } from "./sampler.ts";

/** The objects of one image. */
export interface ImageObjects {
  /** With an area, within the image. */
  readonly boxes: Boxes;
  /** Class of each, from 1 on; 0 is background. */
  readonly labels: ArrayLike<number>;
}

/** Which boxes are matched and taken. */
export interface TargetRule {
  readonly match: MatchRule;
  readonly sample: SampleRule;
}

/** The anchors of one image that are trained on. */
export interface AnchorTargets {
  /** Indices of anchors that stand for an object, and of background, each ascending. */
  readonly positives: readonly number[];
  readonly negatives: readonly number[];
  /** Where the objects lie, seen from the anchors: four numbers of each positive. */
  readonly codes: Float32Array<ArrayBuffer>;
}

/** Matches and draws anchors; those across the image's edge, too. */
export function anchorTargets(
  anchors: Boxes,
  { boxes }: ImageObjects,
  { match, sample }: TargetRule,
  random: Random,
): AnchorTargets {
  const matches = matchBoxes(boxes, anchors, match);
  const labels = matches.map((object) => object >= 0 ? 1 : object === background ? 0 : -1);
  const { positives, negatives } = sampleBoxes(labels, sample, random);
  const objects = takeBoxes(boxes, positives.map((anchor) => matches[anchor]));
  return {
    positives,
    negatives,
    codes: encodeBoxes(objects, takeBoxes(anchors, positives), proposalWeights),
  };
}

/** The regions of one image that are trained on. */
export interface RegionTargets {
  readonly boxes: Boxes;
  /** Class of each, 0 for background. */
  readonly labels: Int32Array<ArrayBuffer>;
  /** Object of each; 0 for background, which has none. */
  readonly objects: Int32Array<ArrayBuffer>;
  /** Where the objects lie, seen from the regions: four numbers of each; 0 for background. */
  readonly codes: Float32Array<ArrayBuffer>;
}

/** Matches and draws proposals, to which the objects' own boxes are added; in the order of the proposals. */
export function regionTargets(
  proposals: Boxes,
  { boxes: objects, labels: classes }: ImageObjects,
  { match, sample, weights }: TargetRule & { readonly weights: BoxWeights },
  random: Random,
): RegionTargets {
  const candidates = joinBoxes(proposals, objects);
  const matches = matchBoxes(objects, candidates, match);
  const labels = matches.map((object) => object >= 0 ? classes[object] : object === background ? 0 : -1);
  const { positives, negatives } = sampleBoxes(labels, sample, random);
  const taken = [...positives, ...negatives].sort((a, b) => a - b);
  const codes = new Float32Array(4 * taken.length);
  taken.forEach((box, at) => {
    if (labels[box] === 0) return;
    const target = takeBoxes(objects, [matches[box]]);
    codes.set(encodeBoxes(target, takeBoxes(candidates, [box]), weights), 4 * at);
  });
  return {
    boxes: takeBoxes(candidates, taken),
    labels: Int32Array.from(taken, (box) => labels[box]),
    objects: Int32Array.from(taken, (box) => Math.max(matches[box], 0)),
    codes,
  };
}

/** How masks become targets. */
export interface MaskTargetRule {
  /** Side of the target. */
  readonly bins: number;
  /** See `RoiSampling`. */
  readonly aligned: boolean;
  /** Whether a target is 0 or 1, from 0.5 on, as mmdet and detectron2 have it; torchvision's are fractions. */
  readonly binary: boolean;
}

/** torchvision's. */
export const defaultMaskTargets: MaskTargetRule = { bins: 28, aligned: false, binary: false };

/**
 * Objects' masks seen through regions: RoIAlign with adaptive sampling.
 *
 * @param masks of the image's objects, 0 or 1 for each pixel, row by row
 * @param objects the object of each region
 * @returns [regions, bins, bins]
 */
export function maskTargets(
  masks: readonly Uint8Array[],
  { height, width }: ImageSize,
  boxes: Boxes,
  objects: ArrayLike<number>,
  { bins, aligned, binary }: MaskTargetRule = defaultMaskTargets,
): Float32Array<ArrayBuffer> {
  const targets = new Float32Array(boxCount(boxes) * bins * bins);
  const sampling = { bins, samplingRatio: 0, aligned };
  for (let region = 0; region < boxCount(boxes); region++) {
    const [x1, y1, x2, y2] = boxes.subarray(4 * region, 4 * region + 4);
    const rows = axisWeights(y1, y2, 1, height, sampling);
    const columns = axisWeights(x1, x2, 1, width, sampling);
    const mask = masks[objects[region]];
    for (let bin = 0; bin < bins * bins; bin++) {
      const p = Math.floor(bin / bins), q = bin % bins;
      let sum = 0;
      for (let row = rows.starts[p]; row < rows.starts[p + 1]; row++) {
        const start = rows.pixels[row] * width;
        let line = 0;
        for (let column = columns.starts[q]; column < columns.starts[q + 1]; column++) {
          line += columns.weights[column] * mask[start + columns.pixels[column]];
        }
        sum += rows.weights[row] * line;
      }
      targets[region * bins * bins + bin] = binary ? Number(Math.fround(sum) >= 0.5) : sum;
    }
  }
  return targets;
}
