/**
 * How long the loops of one invocation may be: the one place that knows.
 *
 * Mesa's software driver counts the turns of all loops of an invocation, nested and one after the other, and after
 * 65 535 ends every loop without a word; what was summed by then is the result. So each launch states its turns, and the
 * command stream cuts it into several launches or refuses it. The limit holds on every device, so that all of them add up
 * in the same order.
 */

/**
 * Most turns of all its loops together that an invocation may make. Below the driver's own limit by what a compiler may
 * add to a loop; orders of sums depend on it, so it stays as it is.
 */
export const mostLoopTurns = 60_000;

/** The outermost loop of a kernel that can begin and end anywhere: its `struct Params` has `firstRound` and `endRound`. */
export interface CuttableLoop {
  readonly rounds: number;
  /** Turns that one round costs: its own, and those of the loops inside. */
  readonly each: number;
}

/** Terms that are summed before they join the rest, so that no sum in float32 grows long; BLOCK in the kernels. */
export const sumBlock = 1024;

/** The loop over a sum of so many terms, whose rounds are blocks of {@linkcode sumBlock}. */
export function blockedSum(terms: number): CuttableLoop {
  return { rounds: Math.ceil(terms / sumBlock), each: 1 + loop(Math.min(terms, sumBlock)) };
}

/** A part of the rounds of a loop, `end` not included. */
export interface Rounds {
  readonly first: number;
  readonly end: number;
}

/** Turns of a loop over `rounds`, each with loops of `inside` turns in it; leaving a loop is a turn, too. */
export function loop(rounds: number, inside = 0): number {
  return rounds * (1 + inside) + 1;
}

/** The most rounds that one launch makes when each costs so many turns; 0 where not even one fits. */
export function mostRounds(each: number): number {
  return Math.floor((mostLoopTurns - 1) / each);
}

/** The rounds of each launch, in order: as many as fit, the rest in the last. None where not even one fits. */
export function cutRounds({ rounds, each }: CuttableLoop): Rounds[] {
  const most = mostRounds(each);
  if (most < 1) return [];
  const launches: Rounds[] = [{ first: 0, end: Math.min(rounds, most) }];
  for (let first = most; first < rounds; first += most) {
    launches.push({ first, end: Math.min(rounds, first + most) });
  }
  return launches;
}
