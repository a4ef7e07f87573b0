/** Which of several candidates costs least, and which keep to a time. */
import { type Range, within } from "./candidates.ts";
import type { Latency } from "./latency.ts";

/** What is to be spent sparingly among candidates whose scores cannot be told apart. */
export const preferences = ["macs", "params", "latency"] as const;
/** One of {@linkcode preferences}. */
export type Preference = typeof preferences[number];

/** What a candidate costs. */
export interface Costs {
  readonly macs: number;
  readonly params: number;
  readonly score: number;
  readonly latency?: readonly Pick<Latency, "batch" | "msPerImage">[];
}

/**
 * The time that budgets and preferences are about: milliseconds for a single image, which is what an answer takes, not
 * what an image takes among many. Undefined where it was not measured.
 */
export function singleImageTime({ latency }: Pick<Costs, "latency">): number | undefined {
  return latency?.find(({ batch }) => batch === 1)?.msPerImage;
}

/** Whether the time is within a budget; undefined where it was not measured. */
export function withinTime(candidate: Pick<Costs, "latency">, budget: Range): boolean | undefined {
  const time = singleImageTime(candidate);
  return time === undefined ? undefined : within(time, budget);
}

/** Cheapest first; of equal costs the higher score. What was not measured comes last. */
export function byCost(prefer: Preference): (one: Costs, other: Costs) => number {
  const cost = (candidate: Costs) =>
    prefer === "latency" ? singleImageTime(candidate) ?? Infinity : candidate[prefer];
  return (one, other) => {
    const [a, b] = [cost(one), cost(other)];
    return a === b ? other.score - one.score : a < b ? -1 : 1;
  };
}

/** A time budget in words: `at most 5 ms`. */
export function formatTimes({ from, to }: Range): string {
  if (from === undefined) return `at most ${to} ms`;
  return to === undefined ? `at least ${from} ms` : `${from} to ${to} ms`;
}
