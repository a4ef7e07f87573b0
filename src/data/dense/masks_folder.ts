/** `masks:DIR`: photos in `images/`, class ids as gray or palette PNG of the same names in `labels/`, `classes.json`. */
import { DataError } from "../../errors.ts";
import { reportListing } from "../folder.ts";
import { reasonOf } from "../image_file.ts";
import { scanFolder } from "../scan.ts";
import { LabelIds, readLabelPng } from "./label_ids.ts";
import { findSplit, needSplit } from "./split_folder.ts";
import type { ColourIds } from "./label_png.ts";
import { type DenseClass, type DenseOptions, ignoredClass, type SegmentationSource } from "./target.ts";
import { openWholeImages } from "./whole_images.ts";
import { standardPalette } from "./write_label_png.ts";

const usualSplits = ["train", "val", "valid", "validation", "test"];

/** Photos and their labels, by place; paths relative to `root`. */
export interface PairedFiles {
  readonly root: string;
  readonly images: string[];
  readonly labels: string[];
}

/**
 * Lists photos with the label of each.
 *
 * @throws {ConfigurationError} for a folder that is no such set, or has splits of which none is named
 * @throws {DataError} for a photo without a label
 */
export async function listMasks(
  path: string,
  options: Pick<DenseOptions, "strict" | "onWarning">,
): Promise<PairedFiles> {
  const { root, split } = await findSplit(path, ["images", "labels"], "folder of images and labels");
  const below = split === undefined ? "" : `/${split}`;
  const photos = await scanFolder(`${root}/images${below}`);
  const splits = split === undefined ? usualSplits.filter((one) => photos.classes?.includes(one)) : [];
  if (splits.length > 1) needSplit("masks", root, splits);
  reportListing(`${root}/images${below}`, photos, { ...options, imageSize: 0, seed: 0 });
  const labels = new Map<string, string>();
  for (const name of (await scanFolder(`${root}/labels${below}`)).paths) {
    if (/\.png$/i.test(name)) labels.set(stemOf(name), name);
  }
  const stems = new Map<string, string>();
  for (const name of photos.paths) {
    const other = stems.get(stemOf(name));
    if (other !== undefined) {
      throw new DataError(
        `"${root}/images${below}/${other}" and "${name}" would have the same label; rename one`,
      );
    }
    stems.set(stemOf(name), name);
  }
  const lacking = [...stems.keys()].filter((stem) => !labels.has(stem));
  if (lacking.length > 0) {
    throw new DataError(
      `image "${root}/images${below}/${stems.get(lacking[0])}" has no label "${root}/labels${below}/${
        lacking[0]
      }.png"; ` +
        `${lacking.length} of ${stems.size} have none. Labels are PNG files with the names of their images`,
    );
  }
  const unused = labels.size - stems.size;
  if (unused > 0) options.onWarning?.(`${unused} labels in "${root}/labels${below}" belong to no image`);
  return {
    root,
    images: photos.paths.map((name) => `images${below}/${name}`),
    labels: photos.paths.map((name) => `labels${below}/${labels.get(stemOf(name))}`),
  };
}

function stemOf(path: string): string {
  return path.replace(/\.[^./]+$/, "");
}

/** Opens such a folder. See {@linkcode listMasks} and {@linkcode LabelIds} for what is refused. */
export async function openMasks(
  name: string,
  path: string,
  options: DenseOptions,
): Promise<SegmentationSource> {
  const { root, images, labels } = await listMasks(path, options);
  const paths = labels.map((label) => `${root}/${label}`);
  const ids = await readClasses(`${root}/classes.json`) ?? await guessClasses(paths, options);
  const photos = await openWholeImages(name, root, images, options);
  return {
    name,
    images: photos,
    classes: ids.classes,
    target: (index) => ids.read(paths[index]),
    release: () => photos.release(),
  };
}

/**
 * `{"classes": [{"id", "name", "colour"?}], "ignore"?: [ids], "ignoreColours"?: [colours]}`; undefined where there is no such
 * file. Where every class has a colour, labels may be in colours.
 */
async function readClasses(path: string): Promise<LabelIds | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new DataError(`cannot read "${path}": ${reasonOf(error)}`);
  }
  try {
    const { classes, ignore = [], ignoreColours = [] } = JSON.parse(text) as Record<string, unknown>;
    if (!Array.isArray(classes)) throw new DataError(`it has no list "classes"`);
    if (!Array.isArray(ignore) || !ignore.every(isId)) throw new DataError(`"ignore" is no list of ids`);
    const parsed = classes.map(parseClass).sort((a, b) => a.id - b.id);
    if (!Array.isArray(ignoreColours)) throw new DataError(`"ignoreColours" is no list of colours`);
    const none = ignoreColours.map((colour) => parseColour(colour, `in "ignoreColours"`));
    const coloured = classes.every((one) => one.colour !== undefined);
    return new LabelIds(parsed, ignore, coloured ? colourIds(parsed, none) : undefined);
  } catch (error) {
    throw new DataError(
      `"${path}" cannot be used: ${
        (error as Error).message
      }. It looks like {"classes": [{"id": 0, "name": "road", ` +
        `"colour": [128, 64, 128]}], "ignore": [255]}`,
      { cause: error },
    );
  }
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 65536;
}

function parseClass(entry: unknown, at: number): DenseClass {
  const { id, name, colour } = (entry ?? {}) as Record<string, unknown>;
  if (!isId(id)) {
    throw new DataError(`the id of class ${at} is ${JSON.stringify(id)}; ids are whole numbers from 0`);
  }
  if (typeof name !== "string" || name === "") throw new DataError(`class ${at} has no name`);
  if (colour === undefined) return { id, name, colour: colourOf(id) };
  return { id, name, colour: parseColour(colour, `of class "${name}"`) };
}

function parseColour(colour: unknown, where: string): DenseClass["colour"] {
  const [red, green, blue, ...more] = Array.isArray(colour) ? colour : [];
  if (more.length > 0 || ![red, green, blue].every((value) => isId(value) && value < 256)) {
    throw new DataError(`the colour ${where} is no list of red, green and blue, 0 to 255`);
  }
  return [red, green, blue];
}

/** What colours stand for; those that are ignored for 255. Undefined where classes share one. */
function colourIds(
  classes: readonly DenseClass[],
  ignored: readonly DenseClass["colour"][],
): ColourIds | undefined {
  const ids = new Map<number, number>();
  const set = ([red, green, blue]: DenseClass["colour"], id: number) => {
    const key = (red << 16) | (green << 8) | blue;
    if (ids.has(key)) return false;
    ids.set(key, id);
    return true;
  };
  const unique = classes.every(({ id, colour }) => set(colour, id));
  if (ignored.length > 0 && classes.some(({ id }) => id === ignoredClass)) {
    throw new DataError(`"ignoreColours" does not go with a class of the id ${ignoredClass}`);
  }
  if (!ignored.every((colour) => set(colour, ignoredClass))) {
    throw new DataError("a colour that is ignored is a class's, too");
  }
  // Classes may share a colour where it is for pictures only.
  return unique ? ids : undefined;
}

/** A colour for a class that names none. */
export function colourOf(id: number): DenseClass["colour"] {
  const [red, green, blue] = standardPalette().subarray(3 * (id % 256));
  return [red, green, blue];
}

/** Without `classes.json`: the ids from 0 to the greatest that a label has, 255 ignored. Reads all labels. */
async function guessClasses(paths: readonly string[], { onWarning }: DenseOptions): Promise<LabelIds> {
  const seen = new Set<number>();
  for (const path of paths) for (const id of (await readLabelPng(path)).values) seen.add(id);
  const most = Math.max(...[...seen].filter((id) => id !== 255));
  if (seen.has(255) && most <= 0) {
    throw new DataError(
      `the labels of "${paths[0]}" and its set hold only ${
        [...seen].sort((a, b) => a - b).join(" and ")
      }, and 255 ` +
        `means that a pixel does not count. If it is a class, say so in classes.json: {"classes": [{"id": 0, "name": ` +
        `"background"}, {"id": 255, "name": "object"}]}`,
    );
  }
  onWarning?.(
    `there is no classes.json: ids 0 to ${most} are taken for classes, 255 for pixels that do not count`,
  );
  return new LabelIds(
    Array.from({ length: most + 1 }, (_, id) => ({ id, name: `class ${id}`, colour: colourOf(id) })),
  );
}
