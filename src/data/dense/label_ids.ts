/** From the ids that label files store to numbers of classes. */
import { DataError } from "../../errors.ts";
import { type DenseClass, ignoredClass, type LabelTarget } from "./target.ts";
import { type ColourIds, decodeLabelPng, type LabelPng } from "./label_png.ts";
import { readImageFile } from "../image_file.ts";

/** Most classes: one value of a byte says that a pixel does not count. */
const mostClasses = ignoredClass;

/**
 * Reads a label PNG as it is stored.
 *
 * @param colours see {@linkcode decodeLabelPng}
 * @throws {DataError} naming the file and the reason
 */
export async function readLabelPng(path: string, colours?: ColourIds): Promise<LabelPng> {
  try {
    return await decodeLabelPng(await readImageFile({ path }), colours);
  } catch (error) {
    throw new DataError(`label "${path}" cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

/** Numbers of classes by id. */
export class LabelIds {
  readonly #numbers = new Map<number, number>();

  /**
   * @param classes in the order of their numbers
   * @param ignored ids of pixels that do not count; 255 is one unless it is a class
   * @param colours ids of the colours of labels that are in red, green and blue
   * @throws {DataError} for an id that is given twice, or too many classes
   */
  constructor(
    readonly classes: readonly DenseClass[],
    readonly ignored: readonly number[] = [],
    readonly colours?: ColourIds,
  ) {
    if (classes.length === 0 || classes.length > mostClasses) {
      throw new DataError(`there are ${classes.length} classes; 1 to ${mostClasses} can be told apart`);
    }
    for (const [number, { id, name }] of classes.entries()) {
      if (this.#numbers.has(id)) throw new DataError(`the id ${id} of class "${name}" is another one's, too`);
      this.#numbers.set(id, number);
    }
    for (const id of ignored) {
      if (this.#numbers.has(id)) throw new DataError(`the id ${id} is a class and ignored, too`);
      this.#numbers.set(id, ignoredClass);
    }
    if (!this.#numbers.has(255)) this.#numbers.set(255, ignoredClass);
  }

  /**
   * @param path of the label, for messages
   * @throws {DataError} for an id that is neither a class nor ignored, with the number of its pixels
   */
  target({ width, height, values: ids }: LabelPng, path: string): LabelTarget {
    const table = Int16Array.from(
      { length: ids instanceof Uint8Array ? 256 : 65536 },
      (_, id) => this.#numbers.get(id) ?? -1,
    );
    const values = new Uint8Array(ids.length);
    for (let at = 0; at < ids.length; at++) {
      const number = table[ids[at]];
      if (number < 0) throw this.#unknown(path, ids, ids[at]);
      values[at] = number;
    }
    return { kind: "labels", width, height, values };
  }

  /** @throws {DataError} as {@linkcode readLabelPng} and {@linkcode target} */
  async read(path: string): Promise<LabelTarget> {
    return this.target(await readLabelPng(path, this.colours), path);
  }

  #unknown(path: string, ids: Uint8Array | Uint16Array, id: number): DataError {
    let count = 0;
    for (const other of ids) if (other === id) count++;
    const ignored = [...this.#numbers].filter(([, number]) => number === ignoredClass).map(([other]) =>
      other
    );
    return new DataError(
      `label "${path}": ${count} of ${ids.length} pixels have the id ${id}, which is no class; classes are ` +
        `${summarise(this.classes.map((one) => one.id))}, ignored ${ignored.length > 1 ? "are" : "is"} ` +
        `${summarise(ignored)}. Mend the label, or name the id in classes.json`,
    );
  }
}

/** Ids in words: `0 to 10`, or the first few. */
function summarise(ids: readonly number[]): string {
  const sorted = [...ids].sort((a, b) => a - b);
  if (sorted.length > 2 && sorted.at(-1)! - sorted[0] === sorted.length - 1) {
    return `${sorted[0]} to ${sorted.at(-1)}`;
  }
  return sorted.length > 12 ? `${sorted.slice(0, 12).join(", ")}, …` : sorted.join(", ");
}
