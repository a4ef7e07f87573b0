/** Files of COCO annotations: parsed and checked, masks left as they are written. */
import { DataError } from "../../errors.ts";
import { reasonOf } from "../image_file.ts";
import { drawPolygons } from "./polygon.ts";
import { type CornerBox, parseRuns, type RunLengths, runsOf } from "./run_lengths.ts";

/** An image of the file. */
export interface CocoImage {
  readonly id: number;
  readonly file: string;
  readonly width: number;
  readonly height: number;
}

/** A category of the file. */
export interface CocoCategory {
  readonly id: number;
  readonly name: string;
}

/** An object of the file. */
export interface CocoAnnotation {
  readonly id: number;
  readonly image: CocoImage;
  readonly categoryId: number;
  readonly box: CornerBox;
  readonly area: number;
  readonly crowd: boolean;
  /** As it is written; see {@linkcode readSegmentation}. */
  readonly segmentation: unknown;
}

/** A whole file. */
export interface CocoFile {
  /** In the file's order. */
  readonly images: readonly CocoImage[];
  /** By ascending id. */
  readonly categories: readonly CocoCategory[];
  /** By image id, in the file's order. */
  readonly annotations: ReadonlyMap<number, readonly CocoAnnotation[]>;
}

/** Of photos that are read. */
const longestSide = 65535;

type Entry = Record<string, unknown>;

/** What is wrong with an entry of the file. */
class EntryFault extends Error {}

function isIdentifier(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function describe(value: unknown): string {
  return value === undefined ? "missing" : JSON.stringify(value).slice(0, 80);
}

/**
 * Reads a file of annotations.
 *
 * @throws {DataError} naming the file, the entry and what is wrong with it
 */
export async function readCocoFile(path: string): Promise<CocoFile> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw new DataError(`cannot read the annotations "${path}": ${reasonOf(error)}`);
  }
  try {
    return parseCocoFile(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof SyntaxError ? `no JSON: ${error.message}` : (error as Error).message;
    throw new DataError(`the annotations "${path}" cannot be used: ${reason}`, { cause: error });
  }
}

function parseCocoFile(file: unknown): CocoFile {
  const lists = (file ?? {}) as Entry;
  const images = entries(lists, "images").map(parseImage);
  const categories = entries(lists, "categories").map(parseCategory).sort((a, b) => a.id - b.id);
  if (images.length === 0) throw new EntryFault("it has no images");
  if (categories.length === 0) throw new EntryFault("it has no categories");
  const imageOf = uniqueIds("image", images);
  const categoryOf = uniqueIds("category", categories);
  const annotations = new Map<number, CocoAnnotation[]>();
  for (const [at, entry] of entries(lists, "annotations").entries()) {
    const annotation = parseAnnotation(entry, at, imageOf, categoryOf);
    const { id } = annotation.image;
    const list = annotations.get(id);
    if (list) list.push(annotation);
    else annotations.set(id, [annotation]);
  }
  return { images, categories, annotations };
}

function entries(file: Entry, name: string): Entry[] {
  const list = file[name];
  if (!Array.isArray(list)) throw new EntryFault(`it has no list "${name}"`);
  return list.map((entry) => (entry ?? {}) as Entry);
}

function uniqueIds<T extends { id: number }>(what: string, list: readonly T[]): Map<number, T> {
  const byId = new Map<number, T>();
  for (const one of list) {
    if (byId.has(one.id)) throw new EntryFault(`the ${what} id ${one.id} comes twice`);
    byId.set(one.id, one);
  }
  return byId;
}

function parseImage(entry: Entry, at: number): CocoImage {
  const { id, file_name: file, width, height } = entry;
  if (!isIdentifier(id)) throw new EntryFault(`the id of image ${at} is ${describe(id)}`);
  if (typeof file !== "string" || file === "" || file.split(/[\\/]/).includes("..") || /^[\\/]/.test(file)) {
    throw new EntryFault(
      `the file_name of image ${id} is ${describe(file)}; it is a path below the images' folder`,
    );
  }
  for (const [name, value] of [["width", width], ["height", height]]) {
    if (isIdentifier(value) && value > 0 && value <= longestSide) continue;
    throw new EntryFault(
      `the ${name} of image ${id} is ${describe(value)}; it is a number of pixels from 1 to ${longestSide}`,
    );
  }
  return { id, file, width: width as number, height: height as number };
}

function parseCategory({ id, name }: Entry, at: number): CocoCategory {
  if (!isIdentifier(id)) throw new EntryFault(`the id of category ${at} is ${describe(id)}`);
  if (typeof name !== "string") throw new EntryFault(`the name of category ${id} is ${describe(name)}`);
  return { id, name };
}

function parseAnnotation(
  entry: Entry,
  at: number,
  images: ReadonlyMap<number, CocoImage>,
  categories: ReadonlyMap<number, CocoCategory>,
): CocoAnnotation {
  const { id = at + 1, image_id, category_id, bbox, area, iscrowd = 0, segmentation } = entry;
  const fault = (reason: string) => new EntryFault(`annotation ${describe(id)}: ${reason}`);
  if (!isIdentifier(id)) throw fault(`its id is no whole number`);
  const image = images.get(image_id as number);
  if (!image) throw fault(`its image_id is ${describe(image_id)}, which is no image`);
  if (!categories.has(category_id as number)) {
    throw fault(`its category_id is ${describe(category_id)}, which is no category`);
  }
  const numbers = Array.isArray(bbox) && bbox.length === 4 && bbox.every((value) => Number.isFinite(value));
  if (!numbers) throw fault(`its bbox is ${describe(bbox)}; it is [x, y, width, height]`);
  const [x, y, width, height] = bbox as [number, number, number, number];
  if (x + width > image.width + 1 || y + height > image.height + 1) {
    throw fault(
      `its bbox ${
        describe(bbox)
      } reaches beyond the image of ${image.width} x ${image.height} pixels; it is ` +
        "[x, y, width, height], not two corners",
    );
  }
  if (iscrowd !== 0 && iscrowd !== 1) throw fault(`its iscrowd is ${describe(iscrowd)}; it is 0 or 1`);
  // Tools that write a box without an extent write its product, too.
  const hasExtent = width > 0 && height > 0;
  if (area !== undefined && !(Number.isFinite(area) && ((area as number) >= 0 || !hasExtent))) {
    throw fault(`its area is ${describe(area)}`);
  }
  return {
    id,
    image,
    categoryId: category_id as number,
    box: [x, y, width, height],
    area: Math.max(0, (area as number | undefined) ?? (hasExtent ? width * height : 0)),
    crowd: iscrowd === 1,
    segmentation,
  };
}

/**
 * Looks whether an object has a mask at all, without making it: a large file has hundreds of thousands.
 *
 * @throws {DataError} where it has none
 */
export function expectSegmentation({ id, segmentation }: CocoAnnotation): void {
  const { size, counts } = (segmentation ?? {}) as { size?: unknown; counts?: unknown };
  if (Array.isArray(segmentation) || (Array.isArray(size) && counts !== undefined)) return;
  throw new DataError(
    `annotation ${id}: its segmentation is ${describe(segmentation)}; it is polygons, or {"size", "counts"}`,
  );
}

/**
 * An object's mask: from polygons, or runs as numbers or text.
 *
 * @throws {DataError} saying what is wrong
 */
export function readSegmentation({ id, image, segmentation }: CocoAnnotation): RunLengths {
  const { height, width } = image;
  try {
    if (Array.isArray(segmentation)) return drawPolygons(segmentation, height, width);
    const { size, counts } = (segmentation ?? {}) as { size?: unknown; counts?: unknown };
    if (!Array.isArray(size) || size.length !== 2) {
      throw new DataError(
        `its segmentation is ${describe(segmentation)}; it is polygons, or {"size", "counts"}`,
      );
    }
    if (size[0] !== height || size[1] !== width) {
      throw new DataError(
        `its mask has the size [${size}], but its image has [${height}, ${width}] (height, width)`,
      );
    }
    if (typeof counts === "string") return parseRuns(counts, height, width);
    if (Array.isArray(counts)) return runsOf(counts, height, width);
    throw new DataError(`its counts are ${describe(counts)}`);
  } catch (error) {
    throw new DataError(`annotation ${id}: ${(error as Error).message}`, { cause: error });
  }
}
