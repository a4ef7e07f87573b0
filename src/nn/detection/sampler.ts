/** Which of the boxes of an image are trained on: few of many, so that background does not drown objects. */
import type { Random } from "../../random.ts";

/** How many are taken. */
export interface SampleRule {
  /** Boxes of an image at most; {@linkcode everything} for all. */
  readonly size: number;
  /** The most of them that stand for objects, as a fraction; background fills the rest. */
  readonly positiveFraction: number;
}

/** Takes all there is: no chance, to compare with other programs. */
export const everything: SampleRule = { size: Infinity, positiveFraction: 1 };

/** What was taken: indices, ascending. */
export interface Sample {
  readonly positives: readonly number[];
  readonly negatives: readonly number[];
}

/** `count` of the numbers, each as likely, in their order. */
function choose(from: readonly number[], count: number, random: Random): readonly number[] {
  if (count >= from.length) return from;
  // Fisher-Yates, begun: what has changed places with another is kept apart.
  const moved = new Map<number, number>();
  const chosen: number[] = [];
  for (let at = 0; at < count; at++) {
    const other = at + random.integer(from.length - at);
    chosen.push(from[moved.get(other) ?? other]);
    moved.set(other, moved.get(at) ?? at);
  }
  return chosen.sort((a, b) => a - b);
}

/**
 * Draws boxes of an image, as torchvision's `BalancedPositiveNegativeSampler`, but for the random numbers.
 *
 * @param labels above 0 for an object, 0 for background, below 0 for neither
 * @param random its own for each image and step
 */
export function sampleBoxes(labels: ArrayLike<number>, rule: SampleRule, random: Random): Sample {
  const positives: number[] = [];
  const negatives: number[] = [];
  for (let at = 0; at < labels.length; at++) {
    if (labels[at] > 0) positives.push(at);
    else if (labels[at] === 0) negatives.push(at);
  }
  const wanted = Math.min(positives.length, Math.floor(rule.size * rule.positiveFraction));
  return {
    positives: choose(positives, wanted, random),
    negatives: choose(negatives, Math.min(negatives.length, rule.size - wanted), random),
  };
}
