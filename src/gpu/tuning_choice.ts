/** From the times of trials to choices: which variant of each bucket is the fastest, and whether it is worth a change. */
import { median } from "../median.ts";
import type { VariantTag } from "./tuning.ts";

/** Operations and device time of all launches of one variant in one bucket, in one round of trials. */
export interface TrialTime extends VariantTag {
  readonly flops: number;
  readonly seconds: number;
}

/** A variant with the operations a second that it reached, the median over the rounds. */
export interface MeasuredVariant {
  readonly name: string;
  readonly rate: number;
}

/** What was found for one bucket. */
export interface BucketChoice {
  readonly bucket: string;
  readonly standard: MeasuredVariant;
  /** The same as `standard` where that stays. */
  readonly chosen: MeasuredVariant;
}

/** Rounds of which a median is trusted. */
export const leastRounds = 3;
/** Speed that a variant needs to replace the default: less is within what measurements vary by. */
const leastGain = 1.03;
/** Share of the best variant's speed below which a variant need not be measured again. */
const hopelessShare = 0.5;

/** Rates of each variant in each bucket, one a round in which it ran. */
function ratesByBucket(rounds: readonly (readonly TrialTime[])[]): Map<string, Map<string, number[]>> {
  const buckets = new Map<string, Map<string, number[]>>();
  for (const { bucket, name, flops, seconds } of rounds.flat()) {
    // A phase of an input gradient that no tap reaches only writes zeros.
    if (flops === 0 || seconds === 0) continue;
    const variants = buckets.get(bucket) ?? new Map<string, number[]>();
    buckets.set(bucket, variants.set(name, [...variants.get(name) ?? [], flops / seconds]));
  }
  return buckets;
}

/** Variants of a round that are so slow that further rounds can spare them. */
export function hopelessVariants(round: readonly TrialTime[]): VariantTag[] {
  return [...ratesByBucket([round])].flatMap(([bucket, variants]) => {
    const best = Math.max(...[...variants.values()].flat());
    return [...variants].filter(([, [rate]]) => rate < hopelessShare * best)
      .map(([name]) => ({ bucket, name }));
  });
}

/**
 * Decides for each bucket in which the default ran in at least {@linkcode leastRounds} rounds, and others were tried.
 * One that ran as often replaces it when it is at least 3 % faster.
 *
 * @param defaults names of the default variants by bucket
 */
export function chooseVariants(
  rounds: readonly (readonly TrialTime[])[],
  defaults: ReadonlyMap<string, string>,
): BucketChoice[] {
  return [...ratesByBucket(rounds)].flatMap(([bucket, variants]) => {
    const measured = [...variants].filter(([, rates]) => rates.length >= leastRounds)
      .map(([name, rates]): MeasuredVariant => ({ name, rate: median(rates) }));
    const standard = measured.find(({ name }) => name === defaults.get(bucket));
    if (!standard || variants.size < 2) return [];
    const best = measured.reduce((a, b) => b.rate > a.rate ? b : a);
    return [{ bucket, standard, chosen: best.rate >= leastGain * standard.rate ? best : standard }];
  });
}
