/** The learning rate over a run. */

/** How the learning rate changes; `cosine` and `constant` have no settings of their own. */
export interface Schedule {
  readonly learningRate: number;
  readonly schedule: "cosine" | "constant" | "steps" | "poly";
  /** Epochs of linear warm-up from 0. */
  readonly warmupEpochs: number;
  /** `steps`: epochs after which the rate is multiplied by `stepFactor`, ascending. */
  readonly milestones: readonly number[];
  readonly stepFactor: number;
  /** `poly`: exponent. */
  readonly power: number;
  /** `poly` and `cosine`: the least rate. */
  readonly floor: number;
}

/**
 * Learning rate of a step (from 0): linear from 0 to the base rate over the warm-up, then
 *
 * - `constant`;
 * - `cosine`, a half cosine that would reach the floor at the step after the last (Loshchilov & Hutter 2017, without
 *   restarts);
 * - `steps`, times `stepFactor` at each milestone;
 * - `poly`, floor + (base - floor) (1 - progress)^power (Chen et al. 2017).
 */
export function learningRate(
  { learningRate: base, schedule, warmupEpochs, milestones, stepFactor, power, floor }: Schedule,
  step: number,
  stepsPerEpoch: number,
  epochs: number,
): number {
  const warmup = warmupEpochs * stepsPerEpoch;
  if (step < warmup) return base * (step + 1) / warmup;
  if (schedule === "constant") return base;
  if (schedule === "steps") {
    const passed = milestones.filter((epoch) => step >= epoch * stepsPerEpoch).length;
    return base * stepFactor ** passed;
  }
  const progress = Math.min((step - warmup) / Math.max(epochs * stepsPerEpoch - warmup, 1), 1);
  if (schedule === "poly") return floor + (base - floor) * (1 - progress) ** power;
  const cosine = 0.5 * (1 + Math.cos(Math.PI * progress));
  return floor === 0 ? base * cosine : floor + (base - floor) * cosine;
}
