/** What a region proposal network proposes (Ren et al. 2015, Lin et al. 2017): its anchors, moved, sifted. On the host. */
import { ShapeError } from "../../errors.ts";
import { decodeBoxes, proposalWeights } from "./box_coder.ts";
import {
  boxCount,
  type Boxes,
  clipBoxes,
  type ImageSize,
  joinBoxes,
  largeBoxes,
  takeBoxes,
} from "./boxes.ts";
import { groupedNms, topScores } from "./nms.ts";

/** What the head says of one image on one map, as it lies on the device. */
export interface LevelPrediction {
  /** Logits of [anchors, height, width] */
  readonly objectness: Float32Array;
  /** [4 anchors, height, width]: x, y, width, height of the first anchor, then of the next */
  readonly deltas: Float32Array;
  /** By row, column and anchor; see `gridAnchors`. */
  readonly anchors: Boxes;
  readonly anchorsPerPosition: number;
}

/** How proposals are sifted. */
export interface ProposalRule {
  /** The best of each map that are looked at. */
  readonly beforeNms: number;
  /** The best of an image, over all maps, that remain. */
  readonly afterNms: number;
  readonly nmsThreshold: number;
  /** Least side in pixels. */
  readonly leastSide: number;
}

/** Boxes within an image, by descending score. */
export interface Proposals {
  readonly boxes: Boxes;
  /** Probability that it is an object. */
  readonly scores: Float32Array<ArrayBuffer>;
}

/** Index in a map [anchors * parts, positions] of a part of an anchor, whose place is counted by position and anchor. */
function placeOf(index: number, part: number, parts: number, anchors: number, positions: number): number {
  return (index % anchors * parts + part) * positions + Math.floor(index / anchors);
}

/** A map [anchors * parts, height, width] ordered by row, column and anchor: [height * width * anchors, parts]. */
export function byPosition(
  values: Float32Array,
  anchors: number,
  parts: number,
): Float32Array<ArrayBuffer> {
  const positions = values.length / anchors / parts;
  return Float32Array.from(
    values,
    (_, at) => values[placeOf(Math.floor(at / parts), at % parts, parts, anchors, positions)],
  );
}

/**
 * The proposals of one image, as torchvision's: the best of each map by their logits, clipped, without the tiny, after
 * non-maximum suppression of each map by itself the best of all. Equal scores keep the order of maps and anchors.
 */
export function selectProposals(
  levels: readonly LevelPrediction[],
  image: ImageSize,
  { beforeNms, afterNms, nmsThreshold, leastSide }: ProposalRule,
): Proposals {
  const chosen = levels.map(({ objectness, deltas, anchors, anchorsPerPosition: each }) => {
    const positions = objectness.length / each;
    if (boxCount(anchors) !== objectness.length || deltas.length !== 4 * objectness.length) {
      throw new ShapeError(
        `proposals: ${objectness.length} logits, ${deltas.length} deltas, ${
          boxCount(anchors)
        } anchors on one map`,
      );
    }
    const logits = byPosition(objectness, each, 1);
    const best = topScores(logits, beforeNms);
    const codes = new Float32Array(4 * best.length);
    best.forEach((index, at) => {
      for (let part = 0; part < 4; part++) {
        codes[4 * at + part] = deltas[placeOf(index, part, 4, each, positions)];
      }
    });
    return {
      boxes: clipBoxes(decodeBoxes(codes, takeBoxes(anchors, best), proposalWeights), image),
      scores: Float32Array.from(best, (index) => 1 / (1 + Math.exp(-logits[index]))),
    };
  });
  const boxes = joinBoxes(...chosen.map((level) => level.boxes));
  const scores = joinBoxes(...chosen.map((level) => level.scores));
  const levelOf = chosen.flatMap((level, index) => new Array<number>(level.scores.length).fill(index));
  const large = largeBoxes(boxes, leastSide);
  const kept = groupedNms(
    takeBoxes(boxes, large),
    large.map((box) => scores[box]),
    large.map((box) => levelOf[box]),
    nmsThreshold,
  ).slice(0, afterNms).map((at) => large[at]);
  return { boxes: takeBoxes(boxes, kept), scores: Float32Array.from(kept, (box) => scores[box]) };
}
