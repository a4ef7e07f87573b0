/** What a subnet is worth on test images, any of which may count several times: what a bootstrap over images needs. */
import { averagePrecisionOf, type SetMatches } from "../../evaluate/coco.ts";
import { PixelConfusion } from "../../evaluate/segmentation.ts";

/** What became of each test image. Plain data, kept in files as it is. */
export type Outcome =
  /** Whether each was classified right: a 0 or 1 for each image. */
  | { readonly kind: "right"; readonly right: string }
  /** [images]: pixels by true and predicted class, [classes, classes] row-major. */
  | { readonly kind: "pixels"; readonly classes: number; readonly counts: readonly (readonly number[])[] }
  /** Which detections are right. */
  | { readonly kind: "objects"; readonly matches: PackedMatches };

/** [categories][images]: scores, a letter of each at every threshold (right, wrong or ignored), and objects that count. */
export type PackedMatches = readonly (readonly {
  readonly scores: readonly number[];
  readonly outcomes: readonly string[];
  readonly objects: number;
}[])[];

/** Results of one subnet, 0 to 1. */
export interface Worth {
  /** Test images. */
  readonly images: number;
  /**
   * Accuracy, mean IoU or AP; NaN where nothing can be measured.
   *
   * @param times how often each image counts; once where it is not given
   */
  of(times?: Uint32Array): number;
}

const letters = { right: "r", wrong: "w", ignored: "i" } as const;
const meanings = { r: "right", w: "wrong", i: "ignored" } as const;

/** Makes matches small and plain. */
export function packMatches(matches: SetMatches): PackedMatches {
  return matches.map((images) =>
    images.map(({ scores, outcomes, objects }) => ({
      scores: [...scores],
      outcomes: outcomes.map((one) => one.map((outcome) => letters[outcome]).join("")),
      objects,
    }))
  );
}

/** Gets an outcome ready to be measured many times. */
export function worthOf(outcome: Outcome): Worth {
  if (outcome.kind === "right") return classified(Uint8Array.from(outcome.right, Number));
  if (outcome.kind === "pixels") return overlaps(outcome.classes, outcome.counts);
  const matches = outcome.matches.map((images) =>
    images.map(({ scores, outcomes, objects }) => ({
      scores: Float64Array.from(scores),
      outcomes: outcomes.map((one) => Array.from(one, (letter) => meanings[letter as keyof typeof meanings])),
      objects,
    }))
  );
  const precision = averagePrecisionOf(matches);
  return { images: matches[0]?.length ?? 0, of: (times) => precision(times) ?? NaN };
}

/** How often each of `count` images is among those that were drawn. */
export function countDraws(count: number, drawn: Uint32Array): Uint32Array {
  const times = new Uint32Array(count);
  for (const image of drawn) times[image]++;
  return times;
}

function classified(right: Uint8Array): Worth {
  return {
    images: right.length,
    of(times) {
      let sum = 0, images = 0;
      for (let image = 0; image < right.length; image++) {
        const count = times?.[image] ?? 1;
        sum += count * right[image];
        images += count;
      }
      return sum / images;
    },
  };
}

function overlaps(classes: number, counts: readonly (readonly number[])[]): Worth {
  return {
    images: counts.length,
    of(times) {
      const all = new PixelConfusion(classes);
      for (const [image, own] of counts.entries()) {
        const count = times?.[image] ?? 1;
        if (count > 0) own.forEach((pixels, at) => all.counts[at] += count * pixels);
      }
      return all.metrics().mIoU ?? NaN;
    },
  };
}
