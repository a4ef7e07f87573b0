/** `cityscapes:DIR`: `leftImg8bit/SPLIT/CITY`, labels in `gtFine/SPLIT/CITY`, ids mapped to the 19 train ids. */
import { DataError } from "../../errors.ts";
import { scanFolder } from "../scan.ts";
import { LabelIds, readLabelPng } from "./label_ids.ts";
import { instancesOf } from "./label_instances.ts";
import type { PairedFiles } from "./masks_folder.ts";
import { findSplit, needSplit } from "./split_folder.ts";
import type { DenseClass, DenseOptions, InstanceSource, SegmentationSource } from "./target.ts";
import { openWholeImages } from "./whole_images.ts";

/** Classes in the order of their train ids. Submissions use the ids. */
export const cityscapesClasses: readonly DenseClass[] = ([
  [7, "road", 128, 64, 128],
  [8, "sidewalk", 244, 35, 232],
  [11, "building", 70, 70, 70],
  [12, "wall", 102, 102, 156],
  [13, "fence", 190, 153, 153],
  [17, "pole", 153, 153, 153],
  [19, "traffic light", 250, 170, 30],
  [20, "traffic sign", 220, 220, 0],
  [21, "vegetation", 107, 142, 35],
  [22, "terrain", 152, 251, 152],
  [23, "sky", 70, 130, 180],
  [24, "person", 220, 20, 60],
  [25, "rider", 255, 0, 0],
  [26, "car", 0, 0, 142],
  [27, "truck", 0, 0, 70],
  [28, "bus", 0, 60, 100],
  [31, "train", 0, 80, 100],
  [32, "motorcycle", 0, 0, 230],
  [33, "bicycle", 119, 11, 32],
] as const).map(([id, name, ...colour]) => ({ id, name, colour }));

/** Ids that do not count. A license plate, -1, is 255 in 8 bits. */
const ignoredIds = [0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30];
/** The first class whose objects are told apart: a person. */
const firstThing = 24;

const imageEnding = "_leftImg8bit.png";

/** As `listMasks` does; `labels` are those of class ids. */
export async function listCityscapes(path: string): Promise<PairedFiles> {
  const { root, split } = await findSplit(path, ["leftImg8bit", "gtFine"], "folder of Cityscapes");
  const chosen = split ?? await onlySplit(root);
  const folder = `leftImg8bit/${chosen}`;
  const { paths } = await scanFolder(`${root}/${folder}`);
  const names = paths.filter((name) => name.endsWith(imageEnding));
  if (names.length === 0) throw new DataError(`"${root}/${folder}" holds no files *${imageEnding}`);
  return {
    root,
    images: names.map((name) => `${folder}/${name}`),
    labels: names.map((name) => `gtFine/${chosen}/${name.slice(0, -imageEnding.length)}_gtFine_labelIds.png`),
  };
}

async function onlySplit(root: string): Promise<string> {
  const splits: string[] = [];
  for await (const { name, isFile } of Deno.readDir(`${root}/leftImg8bit`)) {
    if (!isFile && !name.startsWith(".")) splits.push(name);
  }
  return splits.length === 1 ? splits[0] : needSplit("cityscapes", root, splits.sort());
}

/** Opens its classes of pixels. A label that is not there is an error where it is read. */
export async function openCityscapes(
  name: string,
  path: string,
  options: DenseOptions,
): Promise<SegmentationSource> {
  const { root, images, labels } = await listCityscapes(path);
  const ids = new LabelIds(cityscapesClasses, ignoredIds);
  const photos = await openWholeImages(name, root, images, options);
  return {
    name,
    images: photos,
    classes: cityscapesClasses,
    target: (index) => ids.read(`${root}/${labels[index]}`),
    release: () => photos.release(),
  };
}

/**
 * Opens the objects of its eight classes that have some: a value of 1000 and more is an object of class value / 1000; less is
 * a group that nobody took apart, a crowd.
 */
export async function openCityscapesObjects(
  name: string,
  path: string,
  options: DenseOptions,
): Promise<InstanceSource> {
  const { root, images, labels } = await listCityscapes(path);
  const classes = cityscapesClasses.filter(({ id }) => id >= firstThing);
  const numbers = new Map(classes.map(({ id }, number) => [id, number]));
  const photos = await openWholeImages(name, root, images, options);
  return {
    name,
    images: photos,
    classes,
    async target(index) {
      const label = await readLabelPng(
        `${root}/${labels[index].replace("_labelIds.png", "_instanceIds.png")}`,
      );
      const instances = instancesOf(label, (value) => {
        const classIndex = numbers.get(value >= 1000 ? Math.floor(value / 1000) : value);
        return classIndex === undefined ? undefined : { classIndex, crowd: value < 1000, ignored: false };
      });
      return { kind: "instances", width: label.width, height: label.height, imageId: index + 1, instances };
    },
    release: () => photos.release(),
  };
}
