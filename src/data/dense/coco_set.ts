/** `coco:IMAGES,ANNOTATIONS.json`: objects with boxes and masks. */
import { ConfigurationError, DataError } from "../../errors.ts";
import { statPath, trimSlashes } from "../path.ts";
import {
  type CocoAnnotation,
  type CocoFile,
  expectSegmentation,
  readCocoFile,
  readSegmentation,
} from "./coco_file.ts";
import { colourOf } from "./masks_folder.ts";
import type { DenseOptions, Instance, InstanceSource } from "./target.ts";
import { openWholeImages } from "./whole_images.ts";

/** Least side of a box that is trained on, in pixels. */
export const leastSide = 1;

/**
 * The images of a set, those without objects left out or kept.
 *
 * @throws {ConfigurationError} when the folder of images is not there
 * @throws {DataError} as {@linkcode readCocoFile}
 */
export async function listCoco(
  folder: string,
  annotations: string,
  { emptyImages = "keep", onWarning }: Pick<DenseOptions, "emptyImages" | "onWarning">,
): Promise<CocoFile & { readonly root: string }> {
  const root = trimSlashes(folder);
  const { isDirectory } = await statPath(
    root,
    "give coco: the folder that holds the images, then the annotations",
  );
  if (!isDirectory) throw new ConfigurationError(`"${root}" is no folder; give coco:IMAGES,ANNOTATIONS.json`);
  const file = await readCocoFile(annotations);
  const empty = file.images.filter(({ id }) => !file.annotations.has(id)).length;
  if (empty > 0) {
    onWarning?.(
      `${empty} of the ${file.images.length} images of "${annotations}" have no objects; they are ` +
        (emptyImages === "keep" ? "kept, all of them background" : "left out"),
    );
  }
  if (emptyImages === "keep") return { root, ...file };
  const images = file.images.filter(({ id }) => file.annotations.has(id));
  if (images.length === 0) throw new DataError(`no image of "${annotations}" has an object`);
  return { root, ...file, images };
}

/**
 * Opens such a set.
 *
 * @param masks whether masks are wanted, not only boxes
 */
export async function openCoco(
  name: string,
  folder: string,
  path: string,
  masks: boolean,
  options: DenseOptions,
): Promise<InstanceSource> {
  const { root, images, categories, annotations } = await listCoco(folder, path, options);
  const complain = (error: unknown) =>
    new DataError(`"${path}": ${(error as Error).message}`, { cause: error });
  if (masks) {
    try {
      for (const list of annotations.values()) list.forEach(expectSegmentation);
    } catch (error) {
      throw complain(error);
    }
  }
  warnOfSmall(annotations, options);
  const numbers = new Map(categories.map(({ id }, number) => [id, number]));
  const instance = (one: CocoAnnotation): Instance => ({
    id: one.id,
    classIndex: numbers.get(one.categoryId)!,
    box: one.box,
    area: one.area,
    crowd: one.crowd,
    ignored: false,
    ...(masks && { mask: readSegmentation(one) }),
  });
  const photos = await openWholeImages(name, root, images.map(({ file }) => file), options);
  return {
    name,
    images: photos,
    classes: categories.map(({ id, name }) => ({ id, name, colour: colourOf(numbers.get(id)! + 1) })),
    target(index) {
      const { id, width, height } = images[index];
      try {
        const instances = (annotations.get(id) ?? []).map(instance);
        return Promise.resolve({ kind: "instances", width, height, imageId: id, instances });
      } catch (error) {
        return Promise.reject(complain(error));
      }
    },
    release: () => photos.release(),
  };
}

function warnOfSmall(annotations: CocoFile["annotations"], { onWarning }: DenseOptions): void {
  let count = 0, first: CocoAnnotation | undefined;
  for (const list of annotations.values()) {
    for (const one of list) {
      const { box: [x, y, width, height], image } = one;
      const wide = Math.min(x + width, image.width) - Math.max(0, x);
      const high = Math.min(y + height, image.height) - Math.max(0, y);
      if (wide >= leastSide && high >= leastSide) continue;
      count++;
      first ??= one;
    }
  }
  if (!first) return;
  onWarning?.(
    `${count} boxes are less than a pixel wide or high, or outside their image, and not trained on; the first is of ` +
      `annotation ${first.id}, [${first.box}]`,
  );
}
