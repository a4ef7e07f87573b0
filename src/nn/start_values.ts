/** Values that parameters start with. */
import type { Start } from "../elastic/unit.ts";
import { turn } from "../interrupt.ts";
import type { Random } from "../random.ts";
import { elements, type Shape } from "../shape.ts";

/** Values drawn between two turns of the event loop. */
const valuesPerTurn = 2 ** 18;

async function fill(values: Float32Array, draw: () => number): Promise<void> {
  for (let index = 0; index < values.length; index++) {
    values[index] = draw();
    if ((index + 1) % valuesPerTurn === 0) await turn();
  }
}

/** Draws normal numbers around 0. */
export function fillNormal(values: Float32Array, deviation: number, random: Random): Promise<void> {
  return fill(values, () => deviation * random.normal());
}

/** Draws numbers within `bound` of 0. */
export function fillUniform(values: Float32Array, bound: number, random: Random): Promise<void> {
  return fill(values, () => random.uniform(-bound, bound));
}

/**
 * Draws a parameter's values; see {@linkcode Start}.
 * @param shape the parameter's, whose first dimension and window are the fan out
 * @param residual what `residual` is
 */
export async function fillStart(
  values: Float32Array,
  shape: Shape,
  start: Start,
  residual: number,
  random: Random,
): Promise<void> {
  if (start === "fan-out") {
    const [out, , ...window] = shape;
    await fillNormal(values, Math.sqrt(2 / (out * elements(window))), random);
  } else if (typeof start === "string") values.fill({ zero: 0, one: 1, residual }[start]);
  else if ("normal" in start) await fillNormal(values, start.normal, random);
  else await fillUniform(values, start.uniform, random);
}
