/** The learning rate over a run. */
import type { Config } from "../config/schema.ts";

/**
 * Learning rate of a step (from 0): linear from 0 to the base rate over the warm-up, then constant, or a half cosine
 * that would reach 0 at the step after the last (Loshchilov & Hutter 2017, without restarts).
 */
export function learningRate(
  config: Config["optimizer"],
  step: number,
  stepsPerEpoch: number,
  epochs: number,
): number {
  const { learningRate: base, schedule, warmupEpochs } = config;
  const warmup = warmupEpochs * stepsPerEpoch;
  if (step < warmup) return base * (step + 1) / warmup;
  if (schedule === "constant") return base;
  const progress = (step - warmup) / Math.max(epochs * stepsPerEpoch - warmup, 1);
  return base * 0.5 * (1 + Math.cos(Math.PI * Math.min(progress, 1)));
}
