/**
 * Which candidate is the best of its group, where a time is to be kept to, or the cheapest is wanted of those that cannot
 * be told apart. Times are measured for that, of as few as decide: from the highest score down until one keeps to the
 * budget, in all groups side by side.
 */
import type { Range } from "./candidates.ts";
import type { Latency } from "./latency.ts";
import { byCost, type Preference, singleImageTime, withinTime } from "./preference.ts";
import {
  membersOf,
  type RankedCandidate,
  type RankedGroup,
  type Ranking,
  withDominators,
} from "./ranking.ts";

/** How the best of a group is chosen. */
export interface ChoiceRules {
  /** What the best is to cost little of, among those that cannot be told from the highest score; the score alone decides where absent. */
  readonly prefer?: Preference;
  /** Milliseconds for a single image. */
  readonly latency?: Range;
  /** The most candidates of a group that are measured for the budget, and again for the preference. */
  readonly most: number;
}

/** What is known of the candidates besides their scores. */
export interface Evidence {
  /** Whether the scores of two candidates cannot be told apart. */
  tied(one: string, other: string): boolean;
  /** By architecture; grows while candidates are measured. */
  readonly times: ReadonlyMap<string, readonly Latency[]>;
}

/** The best of a group. */
export interface GroupChoice {
  readonly best: string;
  /** The highest score that keeps to the budget. */
  readonly highest: string;
  /** Architectures that cannot be told from the highest and are not known to be out of the budget, itself among them. */
  readonly tied: ReadonlySet<string>;
}

/** Asks for the times of candidates, and ends with the choice; undefined where none of those measured keeps to the budget. */
type Choosing = Generator<readonly string[], GroupChoice | undefined, void>;

/** Chooses the best of a group, best scores first. */
export function* chooseBest(
  members: readonly RankedCandidate[],
  { prefer, latency, most }: ChoiceRules,
  { tied, times }: Evidence,
): Choosing {
  const timed = (candidate: RankedCandidate) => ({ ...candidate, latency: times.get(candidate.arch) });
  const keeps = (candidate: RankedCandidate) =>
    latency === undefined ? true : withinTime(timed(candidate), latency);
  /** The first that keeps to the budget, of at most so many that are measured. */
  function* first(
    candidates: readonly RankedCandidate[],
  ): Generator<readonly string[], RankedCandidate | undefined, void> {
    let asked = 0;
    for (const candidate of candidates) {
      if (keeps(candidate) === undefined) {
        if (asked++ === most) return undefined;
        yield [candidate.arch];
        // Measuring was stopped.
        if (keeps(candidate) === undefined) return undefined;
      }
      if (keeps(candidate)) return candidate;
    }
    return undefined;
  }

  const highest = yield* first(members);
  if (!highest) return undefined;
  const alike = members.filter((one) =>
    one === highest || (keeps(one) !== false && tied(one.arch, highest.arch))
  );
  let best = highest;
  if (prefer === "latency") {
    const cheapest = alike.toSorted(byCost("macs")).filter((one) => !times.has(one.arch)).slice(0, most);
    const asked = [highest, ...cheapest].map(({ arch }) => arch).filter((arch) => !times.has(arch));
    if (asked.length > 0) yield [...new Set(asked)];
    const known = alike.map(timed).filter((one) => singleImageTime(one) !== undefined && keeps(one));
    best = known.toSorted(byCost("latency"))[0] ?? highest;
  } else if (prefer !== undefined) {
    best = (yield* first(alike.toSorted(byCost(prefer)))) ?? highest;
  }
  const kept = alike.filter((one) => keeps(one) !== false).map(({ arch }) => arch);
  return { best: best.arch, highest: highest.arch, tied: new Set(kept) };
}

/**
 * Chooses in all groups, measuring side by side what each asks for.
 *
 * @param measure adds to the times of the evidence; what it leaves out could not be measured
 * @returns a choice for each group, in order; undefined where there is none
 */
export async function chooseBests(
  ranking: Ranking,
  rules: ChoiceRules,
  evidence: Evidence,
  measure: (architectures: readonly string[]) => Promise<void>,
): Promise<(GroupChoice | undefined)[]> {
  const choosing = ranking.groups.map((group) => chooseBest(membersOf(ranking, group), rules, evidence));
  let results = choosing.map((one) => one.next());
  while (results.some(({ done }) => !done)) {
    await measure(results.flatMap(({ done, value }) => done ? [] : value as readonly string[]));
    results = results.map((result, index) => result.done ? result : choosing[index].next());
  }
  return results.map(({ value }) => value as GroupChoice | undefined);
}

/** The ranking with what was chosen. Groups without a choice are left out; their candidates stay. */
export function withChoices(
  ranking: Ranking,
  choices: readonly (GroupChoice | undefined)[],
  { latency }: Pick<ChoiceRules, "latency">,
  known: boolean,
): Ranking {
  const groups: Omit<RankedGroup, "dominatedBy">[] = [];
  const candidates = ranking.groups.flatMap((group, index) => {
    const choice = choices[index];
    const described = membersOf(ranking, group).map((one): RankedCandidate => {
      const kept = latency && withinTime(one, latency);
      return {
        ...one,
        ...(known && { tiedWithBest: choice?.tied.has(one.arch) ?? false }),
        ...(kept !== undefined && { withinBudget: kept }),
      };
    });
    if (!choice) return described;
    const best = described.find(({ arch }) => arch === choice.best)!;
    groups.push({
      ...group,
      best,
      highest: choice.highest,
      ...(known && { tied: choice.tied.size - 1 }),
    });
    return [best, ...described.filter((one) => one !== best)];
  });
  return { total: ranking.total, groups: withDominators(groups), candidates };
}
