/** What the measures of a run mean, in plain sentences: for its report and for the terminal. */
import {
  type EvaluationMetrics,
  isEvaluation,
  isKnn,
  type KnnMetrics,
  type MetricsLine,
  type SpreadMetrics,
} from "../store/metrics.ts";
import { formatMeasure, formatPercent, withPlainSpaces } from "../number_format.ts";

/** Features of all images that point the same way to this degree tell images apart no more. */
const collapsedCosine = 0.99;
/** Fewer directions than this are a point or a line. */
const collapsedRank = 2;
/** Features that keep less than this part of the directions that they had untrained are on their way there. */
const collapsedShare = 0.2;
/** A larger part of dimensions than this that never change is worth a word. */
const manyDead = 0.5;

/** Why a spread or an agreement is null. */
export const immeasurable = "features that are not finite, or fewer than two images";

/** An evaluation in a line for the terminal. */
export function evaluationText(line: EvaluationMetrics | KnnMetrics): string {
  const parts: string[] = [];
  if (isKnn(line)) {
    const { knn, knnPixels } = line;
    parts.push(
      `kNN ${formatPercent(knn)}${
        knnPixels === undefined ? "" : ` (raw pixels ${formatPercent(knnPixels)})`
      }`,
    );
  }
  if (line.spread === null) parts.push(`the spread of the features cannot be measured: ${immeasurable}`);
  else if (line.spread !== undefined) {
    const { effectiveRank, images, dimension, uniformity } = line.spread;
    parts.push(`effective rank ${effectiveRank.toFixed(1)} of ${Math.min(dimension, images)}`);
    if (uniformity !== undefined) parts.push(`uniformity ${uniformity.toFixed(2)}`);
  }
  const { alignment, smallest } = line.agreement ?? {};
  if (typeof alignment === "number") parts.push(`alignment ${formatMeasure(alignment)}`);
  if (typeof smallest === "number") parts.push(`smallest to teacher ${smallest.toFixed(3)}`);
  return withPlainSpaces(`epoch ${line.epoch}: ${parts.join(", ")}`);
}

/**
 * Whether features have collapsed: all images look nearly the same to the network.
 *
 * @param untrained the spread before the first step, where it is known
 */
export function hasCollapsed(
  { effectiveRank, meanCosine }: SpreadMetrics,
  untrained?: SpreadMetrics,
): boolean {
  return meanCosine > collapsedCosine || effectiveRank < collapsedRank ||
    untrained !== undefined && effectiveRank < collapsedShare * untrained.effectiveRank;
}

/** The spread before the first step, where the run measured it. */
export function untrainedSpread(metrics: readonly MetricsLine[]): SpreadMetrics | undefined {
  return metrics.filter(isEvaluation).find(({ step }) => step === 0)?.spread ?? undefined;
}

/**
 * One sentence on a spread.
 *
 * @param untrained as for {@linkcode hasCollapsed}
 */
export function spreadSentence(spread: SpreadMetrics, untrained?: SpreadMetrics): string {
  const { effectiveRank, dimension, images, meanCosine, deadShare } = spread;
  const directions = `about ${effectiveRank.toFixed(1)} of ${
    Math.min(dimension, images)
  } possible directions`;
  const before = untrained === undefined || untrained.effectiveRank === effectiveRank
    ? ""
    : `, ${untrained.effectiveRank < effectiveRank ? "up" : "down"} from ${
      untrained.effectiveRank.toFixed(1)
    } untrained`;
  if (hasCollapsed(spread, untrained)) {
    const alike = meanCosine > collapsedCosine
      ? `, and two images have a cosine of ${
        meanCosine.toFixed(3)
      } on average, so most images look the same to ` +
        "the network."
      : ", so little is left by which the network could tell images apart.";
    return `The features have collapsed: they use ${directions}${before}${alike}`;
  }
  const dead = deadShare > manyDead
    ? `; ${
      formatPercent(deadShare)
    } of the dimensions never change, so a narrower last stage would do as well`
    : "";
  return `The features have not collapsed: they use ${directions}${before}${dead}.`;
}

/**
 * What to say of an evaluation that found collapsed features, and to do; undefined for any other, and for the untrained
 * network, which has nothing to lose.
 *
 * @param untrained as for {@linkcode hasCollapsed}
 */
export function collapseWarning(
  { step, spread }: EvaluationMetrics,
  untrained?: SpreadMetrics,
): string | undefined {
  if (step === 0 || !spread || !hasCollapsed(spread, untrained)) return undefined;
  const advice =
    "Lower optimizer.learningRate or optimizer.weightDecay, raise moco.momentum (momentum contrast: or moco.queue), " +
    "or start from an earlier checkpoint.";
  return `${spreadSentence(spread, untrained)} ${advice}`;
}

/** What a user should be warned of, by the run's last evaluation: collapsed features, kNN below raw pixels. */
export function qualityWarnings(metrics: readonly MetricsLine[]): string[] {
  const warnings: string[] = [];
  const evaluation = metrics.findLast(isEvaluation);
  const collapse = evaluation && collapseWarning(evaluation, untrainedSpread(metrics));
  if (collapse !== undefined) warnings.push(collapse);
  const knn = metrics.filter(isKnn);
  const last = knn.at(-1), pixels = knn.find(({ knnPixels }) => knnPixels !== undefined)?.knnPixels;
  if (last !== undefined && last.step > 0 && pixels !== undefined && last.knn < pixels) {
    warnings.push(
      `kNN accuracy is ${formatPercent(last.knn)}, below the ${
        formatPercent(pixels)
      } of raw pixels: as far as labels tell, the ` +
        "features are no better than the images themselves yet. Train for more epochs or on more images, or change " +
        "optimizer.learningRate.",
    );
  }
  return warnings;
}
