/** `voc:DIR`: PASCAL VOC's folders. Labels have a palette, 255 is the border; boxes lie in XML, from 1, ends included. */
import { DataError } from "../../errors.ts";
import { reasonOf } from "../image_file.ts";
import { LabelIds, readLabelPng } from "./label_ids.ts";
import { instancesOf } from "./label_instances.ts";
import { colourOf } from "./masks_folder.ts";
import type { CornerBox } from "./run_lengths.ts";
import { findSplit, needSplit } from "./split_folder.ts";
import { type DenseClass, type DenseOptions, ignoredClass, type Instance } from "./target.ts";
import type { InstanceSource, SegmentationSource } from "./target.ts";
import { openWholeImages } from "./whole_images.ts";

const names =
  "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike " +
  "person pottedplant sheep sofa train tvmonitor";

/** Background and the twenty classes, in the order of their ids. */
export const vocClasses: readonly DenseClass[] = names.split(" ").map((name, id) => ({
  id,
  name,
  colour: colourOf(id),
}));

/** What is asked of the set decides which of its lists says which images there are. */
export type VocTask = "segmentation" | "detection" | "instances";

/** Names of images, without endings, of a split. */
export async function listVoc(path: string, task: VocTask): Promise<{ root: string; names: string[] }> {
  const { root, split } = await findSplit(path, ["JPEGImages", "ImageSets"], "folder of PASCAL VOC");
  const lists = `${root}/ImageSets/${task === "detection" ? "Main" : "Segmentation"}`;
  const file = `${lists}/${split ?? await onlyList(root, lists)}.txt`;
  const lines = (await readText(file)).split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (lines.length === 0) throw new DataError(`the list "${file}" names no image`);
  const wrong = lines.find((line) => !/^[\w.-]+$/.test(line) || line.includes(".."));
  if (wrong !== undefined) {
    throw new DataError(
      `the list "${file}" has the line "${wrong.slice(0, 80)}"; it has the name of an image a line`,
    );
  }
  return { root, names: lines };
}

async function onlyList(root: string, folder: string): Promise<string> {
  const found: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      if (/^[^._]+\.txt$/.test(name)) found.push(name.slice(0, -".txt".length));
    }
  } catch (error) {
    throw new DataError(`cannot list "${folder}": ${reasonOf(error)}`);
  }
  if (found.length === 0) throw new DataError(`"${folder}" holds no lists of images (train.txt, val.txt)`);
  return found.length === 1 ? found[0] : needSplit("voc", root, found.sort());
}

async function readText(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new DataError(`cannot read "${path}": ${reasonOf(error)}`);
  }
}

/** Opens its classes of pixels. */
export async function openVoc(
  name: string,
  path: string,
  options: DenseOptions,
): Promise<SegmentationSource> {
  const { root, names } = await listVoc(path, "segmentation");
  const ids = new LabelIds(vocClasses);
  const photos = await openWholeImages(name, root, names.map((one) => `JPEGImages/${one}.jpg`), options);
  return {
    name,
    images: photos,
    classes: vocClasses,
    target: (index) => ids.read(`${root}/SegmentationClass/${names[index]}.png`),
    release: () => photos.release(),
  };
}

/** Opens its objects: boxes by the XML; with masks by the labels of objects, whose boxes are then the masks'. */
export async function openVocObjects(
  name: string,
  path: string,
  masks: boolean,
  options: DenseOptions,
): Promise<InstanceSource> {
  const { root, names } = await listVoc(path, masks ? "instances" : "detection");
  const classes = vocClasses.slice(1);
  const photos = await openWholeImages(name, root, names.map((one) => `JPEGImages/${one}.jpg`), options);
  return {
    name,
    images: photos,
    classes,
    async target(index) {
      const file = `${root}/Annotations/${names[index]}.xml`;
      const described = parseVoc(await readText(file), file, classes);
      const instances = masks
        ? await readMasks(root, names[index], described.instances)
        : described.instances;
      return { kind: "instances", ...described, imageId: index + 1, instances };
    },
    release: () => photos.release(),
  };
}

/** Objects of `SegmentationObject`, with the class that `SegmentationClass` gives most of their pixels. */
async function readMasks(root: string, name: string, objects: readonly Instance[]): Promise<Instance[]> {
  const path = `${root}/SegmentationObject/${name}.png`;
  const label = await readLabelPng(path);
  const classes = await new LabelIds(vocClasses).read(`${root}/SegmentationClass/${name}.png`);
  if (classes.width !== label.width || classes.height !== label.height) {
    throw new DataError(`label "${path}" and that of the classes have different sizes`);
  }
  return instancesOf(label, (value) => {
    if (value === 0 || value === ignoredClass) return undefined;
    const counts = new Uint32Array(256);
    label.values.forEach((other, at) => other === value && counts[classes.values[at]]++);
    const known = counts.subarray(1, vocClasses.length);
    const classIndex = known.indexOf(known.reduce((most, count) => Math.max(most, count)));
    if (known[classIndex] === 0) throw new DataError(`label "${path}": object ${value} has no class`);
    // Objects have the order of the XML, which alone says what is difficult.
    return { classIndex, crowd: false, ignored: objects[value - 1]?.ignored ?? false };
  });
}

/**
 * Reads an image's XML.
 *
 * @throws {DataError} naming the file and what is wrong
 */
function parseVoc(
  xml: string,
  path: string,
  classes: readonly DenseClass[],
): { width: number; height: number; instances: Instance[] } {
  const fault = (reason: string) => new DataError(`the annotation "${path}" cannot be used: ${reason}`);
  const inside = (text: string, tag: string) =>
    new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(text)?.[1].trim();
  const number = (text: string, tag: string) => {
    const value = Number(inside(text, tag) || NaN);
    if (!Number.isFinite(value)) throw fault(`it has no number <${tag}>`);
    return value;
  };
  const size = inside(xml, "size");
  if (size === undefined) throw fault("it has no <size>");
  const [width, height] = [number(size, "width"), number(size, "height")];
  const objects = [...xml.matchAll(/<object>([\s\S]*?)<\/object>/g)].map(([, object]) => object);
  const instances = objects.map((object, at): Instance => {
    // Parts of a person have names and boxes of their own.
    const own = object.replace(/<part>[\s\S]*?<\/part>/g, "");
    const name = inside(own, "name");
    const classIndex = classes.findIndex((one) => one.name === name);
    if (classIndex < 0) throw fault(`object ${at + 1} is "${name}", which is no class of VOC`);
    const bounds = inside(own, "bndbox");
    if (bounds === undefined) throw fault(`object ${at + 1} has no <bndbox>`);
    const [left, top] = [number(bounds, "xmin") - 1, number(bounds, "ymin") - 1];
    const box: CornerBox = [left, top, number(bounds, "xmax") - left, number(bounds, "ymax") - top];
    if (box[2] <= 0 || box[3] <= 0) throw fault(`object ${at + 1} has a box without pixels`);
    const ignored = inside(own, "difficult") === "1";
    return { id: at + 1, classIndex, box, area: box[2] * box[3], crowd: false, ignored };
  });
  return { width, height, instances };
}
