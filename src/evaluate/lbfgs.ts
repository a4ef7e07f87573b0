/**
 * Minimisation of a smooth function by limited-memory BFGS with a line search for the strong Wolfe conditions (Nocedal and
 * Wright, "Numerical Optimization", 2006: algorithms 7.4, 7.5, 3.5 and 3.6), in float64. Deterministic.
 */

/** A function's value at a point; its gradient is written into the second array. */
export type Differentiable = (
  point: Float64Array<ArrayBuffer>,
  gradient: Float64Array<ArrayBuffer>,
) => number;

/** When to stop. */
export interface MinimiseOptions {
  /** The largest absolute value in the gradient that counts as zero. */
  readonly tolerance: number;
  readonly iterations: number;
  /** Multiplies with a positive definite matrix that is near the inverse Hessian; by default with 1. */
  precondition?(vector: Float64Array): Float64Array<ArrayBuffer>;
  /** Called after each iteration, e.g. to let other work run; what it throws ends the minimisation. */
  afterIteration?(): Promise<void> | void;
}

/** Where a minimisation ended. */
export interface Minimum {
  readonly point: Float64Array<ArrayBuffer>;
  readonly value: number;
  /** The largest absolute value in the gradient. */
  readonly gradient: number;
  readonly iterations: number;
  /** The gradient is within the tolerance. */
  readonly converged: boolean;
}

/** Pairs of steps and gradient changes that describe the curvature. */
const memory = 10;
/** Sufficient decrease, and how far the slope must fall. */
const decrease = 1e-4, curvature = 0.9;
const mostTrials = 25;
/** A value that is larger by so small a part is not: near the minimum, rounding hides what a step gains. */
const rounding = 2 ** -50;

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at] * b[at];
  return sum;
}

function largest(values: Float64Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

/** `a` + factor · `b`. */
function combine(a: Float64Array, factor: number, b: Float64Array): Float64Array<ArrayBuffer> {
  const sum = new Float64Array(a.length);
  for (let at = 0; at < a.length; at++) sum[at] = a[at] + factor * b[at];
  return sum;
}

interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  /** 1 / (step · change). */
  readonly rho: number;
}

/** Minus the gradient, multiplied with the inverse Hessian that the pairs describe (two-loop recursion). */
function descentDirection(
  gradient: Float64Array,
  pairs: readonly Pair[],
  precondition: MinimiseOptions["precondition"],
): Float64Array<ArrayBuffer> {
  let direction = combine(new Float64Array(gradient.length), -1, gradient);
  const weights: number[] = [];
  for (const { step, change, rho } of pairs.toReversed()) {
    const weight = rho * dot(step, direction);
    weights.push(weight);
    direction = combine(direction, -weight, change);
  }
  const newest = pairs.at(-1);
  let scale: number;
  if (precondition) {
    direction = precondition(direction);
    scale = newest ? 1 / (newest.rho * dot(newest.change, precondition(newest.change))) : 1;
  } else {
    scale = newest
      ? 1 / (newest.rho * dot(newest.change, newest.change))
      : 1 / Math.max(1, largest(gradient));
  }
  for (let at = 0; at < direction.length; at++) direction[at] *= scale;
  for (const { step, change, rho } of pairs) {
    const weight = weights.pop()!;
    direction = combine(direction, weight - rho * dot(change, direction), step);
  }
  return direction;
}

/** The function along a line. */
interface Trial {
  readonly length: number;
  readonly value: number;
  readonly slope: number;
  readonly point: Float64Array<ArrayBuffer>;
  readonly gradient: Float64Array<ArrayBuffer>;
}

/** Where the cubic through two trials is least, kept away from both ends. */
function interpolate(one: Trial, other: Trial): number {
  const [low, high] = one.length < other.length ? [one, other] : [other, one];
  const width = high.length - low.length;
  const a = low.slope + high.slope - 3 * (low.value - high.value) / (low.length - high.length);
  const root = Math.sqrt(Math.max(0, a * a - low.slope * high.slope));
  const least = high.length - width * (high.slope + root - a) / (high.slope - low.slope + 2 * root);
  const inside = Number.isFinite(least) ? least : low.length + width / 2;
  return Math.min(high.length - 0.1 * width, Math.max(low.length + 0.1 * width, inside));
}

/** A point along a descent direction that meets the strong Wolfe conditions; undefined where rounding allows none. */
function searchLine(start: Trial, tryLength: (length: number) => Trial): Trial | undefined {
  const allowed = start.value + rounding * Math.abs(start.value);
  const tooHigh = (trial: Trial) => !(trial.value <= allowed + decrease * trial.length * start.slope);
  const isFlat = (trial: Trial) => Math.abs(trial.slope) <= -curvature * start.slope;
  let before = start;
  let bracket: [low: Trial, high: Trial] | undefined;
  let trial = tryLength(1);
  for (let tried = 1; tried <= mostTrials; tried++) {
    if (bracket) {
      const [low, high] = bracket;
      if (tooHigh(trial) || trial.value >= low.value) bracket = [low, trial];
      else if (isFlat(trial)) return trial;
      else bracket = [trial, trial.slope * (high.length - low.length) >= 0 ? low : high];
    } else if (tooHigh(trial) || (tried > 1 && trial.value >= before.value)) bracket = [before, trial];
    else if (isFlat(trial)) return trial;
    else if (trial.slope >= 0) bracket = [trial, before];
    const next = bracket ? interpolate(...bracket) : 2 * trial.length;
    before = trial;
    trial = tryLength(next);
  }
  const best = bracket?.[0] ?? trial;
  return best.value < start.value ? best : undefined;
}

/** Minimises a function from a point on, which is left as it is. */
export async function minimise(
  evaluate: Differentiable,
  from: Float64Array<ArrayBuffer>,
  { tolerance, iterations, precondition, afterIteration }: MinimiseOptions,
): Promise<Minimum> {
  let point: Float64Array<ArrayBuffer> = from.slice();
  let gradient: Float64Array<ArrayBuffer> = new Float64Array(point.length);
  let value = evaluate(point, gradient);
  let done = 0;
  let pairs: Pair[] = [];
  while (done < iterations && largest(gradient) > tolerance) {
    const direction = descentDirection(gradient, pairs, precondition);
    const start = { length: 0, value, slope: dot(gradient, direction), point, gradient };
    const found = searchLine(start, (length) => {
      const tried = combine(point, length, direction);
      const itsGradient = new Float64Array(tried.length);
      const itsValue = evaluate(tried, itsGradient);
      return {
        length,
        value: itsValue,
        slope: dot(itsGradient, direction),
        point: tried,
        gradient: itsGradient,
      };
    });
    done++;
    if (!found) {
      // Rounding has spoilt the pairs, or there is nothing to gain any more.
      if (pairs.length === 0) break;
      pairs = [];
      continue;
    }
    const step = combine(found.point, -1, point), change = combine(found.gradient, -1, gradient);
    const product = dot(step, change);
    if (product > 1e-300) pairs = [...pairs.slice(1 - memory), { step, change, rho: 1 / product }];
    ({ point, gradient, value } = found);
    await afterIteration?.();
  }
  const remaining = largest(gradient);
  return { point, value, gradient: remaining, iterations: done, converged: remaining <= tolerance };
}
