/** Predicted classes of pixels as files with the ids that the set's own labels have. */
import { DataError } from "../../errors.ts";
import type { Size } from "./placement.ts";
import { type DenseClass, ignoredClass } from "./target.ts";
import { encodeLabelPng } from "./write_label_png.ts";

/**
 * A label PNG: of ids up to 255 with a palette of the classes' colours, else gray of 16 bits.
 *
 * @param values [height, width]: numbers of classes; 255, what was not predicted, stays 255
 * @throws {DataError} for a number that is no class
 */
export async function predictionPng(
  values: Uint8Array,
  { height, width }: Size,
  classes: readonly DenseClass[],
): Promise<Uint8Array<ArrayBuffer>> {
  const ids = classes.map(({ id }) => id);
  const wrong = values.find((value) => value >= ids.length && value !== ignoredClass);
  if (wrong !== undefined) throw new DataError(`${wrong} is no class; there are ${ids.length}`);
  const idOf = (value: number) => value < ids.length ? ids[value] : ignoredClass;
  if (Math.max(...ids) > 255) return await encodeLabelPng(Uint16Array.from(values, idOf), width, height);
  const palette = new Uint8Array(3 * 256);
  for (const { id, colour } of classes) palette.set(colour, 3 * id);
  return await encodeLabelPng(values.map(idOf), width, height, palette);
}
