/** `--predictions`: a folder of label PNGs, one for each test image, that is never one of labels that somebody drew. */
import { basename, dirname, join, resolve } from "@std/path";
import type { Size } from "../data/dense/placement.ts";
import { predictionPng } from "../data/dense/prediction_png.ts";
import type { DenseClass, SegmentationSource } from "../data/dense/target.ts";
import { UsageError } from "../errors.ts";
import { imageNames } from "../data/image_name.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { version } from "../version.ts";
import { makeOutputFolder } from "./output_folder.ts";

/** Tells that the other files are predictions, and what their values mean. */
const aboutName = "predictions.json";

/** Where predictions are written. */
export class PredictionsFolder {
  readonly #names: readonly string[];

  private constructor(
    readonly path: string,
    readonly classes: readonly DenseClass[],
    names: readonly string[],
  ) {
    this.#names = names;
  }

  /**
   * Makes the folder, or finds that it holds earlier predictions.
   *
   * @param test the images that are predicted for
   * @param sources all images that are read, which predictions must not lie among
   * @throws {UsageError} when it lies among them, or holds other files
   */
  static async open(
    path: string,
    test: SegmentationSource,
    sources: readonly SegmentationSource[],
  ): Promise<PredictionsFolder> {
    const refuse = (what: string) => new UsageError(`--predictions ${path} ${what}. Give a new folder.`);
    for (const { images: { origin } } of sources) {
      if (origin?.kind !== "images") continue;
      const root = await Deno.realPath(origin.root);
      if (`${await realPathOf(path)}/`.startsWith(`${root}/`)) {
        throw refuse(`lies in ${origin.root}, beside images and labels`);
      }
    }
    await makeOutputFolder(path, "--predictions");
    const held = (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name);
    if (held.length > 0 && !held.includes(aboutName)) {
      throw refuse(`holds other files, e.g. ${held.toSorted()[0]}`);
    }
    const classes = test.classes.map(({ id, name, colour }) => ({ id, name, colour }));
    await writeFileAtomically(
      join(path, aboutName),
      JSON.stringify({ version, classes, ignore: [255] }) + "\n",
    );
    return new PredictionsFolder(path, test.classes, predictionNames(test));
  }

  /** Writes the classes of an image's pixels, [height, width]. */
  async write(index: number, values: Uint8Array, size: Size): Promise<void> {
    const file = join(this.path, this.#names[index]);
    await makeOutputFolder(dirname(file), "--predictions");
    await writeFileAtomically(file, await predictionPng(values, size, this.classes));
  }
}

/** Names of the images' files, below the last folder that holds all of them, ending in `.png`. */
function predictionNames({ images }: SegmentationSource): string[] {
  const paths = imageNames(images);
  if (!paths) return Array.from({ length: images.length }, (_, index) => `${index}.png`);
  const folders = paths.map((path) => path.split("/").slice(0, -1));
  let shared = 0;
  while (folders.every((parts) => shared < parts.length && parts[shared] === folders[0][shared])) shared++;
  return paths.map((path) => path.split("/").slice(shared).join("/").replace(/\.[^./]*$/, "") + ".png");
}

/** The path without links, also of a folder that is yet to be made. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const whole = resolve(path);
    return join(await realPathOf(dirname(whole)), basename(whole));
  }
}
