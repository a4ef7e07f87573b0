/** The door to images with labels of pixels or objects. */
import { ConfigurationError } from "../../errors.ts";
import type { DecodedImage, ImageSource, SourceOptions } from "../image_set.ts";
import { type DenseSpec, parseDataSpec } from "../spec.ts";
import { listCityscapes, openCityscapes, openCityscapesObjects } from "./cityscapes.ts";
import { listCoco, openCoco } from "./coco_set.ts";
import { listMasks, openMasks } from "./masks_folder.ts";
import { openSyntheticLabels, openSyntheticObjects } from "./synthetic_targets.ts";
import type {
  DenseOptions,
  DenseSource,
  InstanceSource,
  InstanceTarget,
  LabelTarget,
  SegmentationSource,
} from "./target.ts";
import { listVoc, openVoc, openVocObjects } from "./voc.ts";
import { expectSameShape } from "./whole_images.ts";

const labelForms = "masks:DIR, cityscapes:DIR, voc:DIR or synthetic:N";
const objectForms = "coco:IMAGES,ANNOTATIONS.json, cityscapes:DIR, voc:DIR or synthetic:N";

/**
 * Opens images with a class for each pixel: `masks:DIR`, `cityscapes:DIR`, `voc:DIR` or `synthetic:N`. A split is named as
 * `DIR/train`.
 *
 * @throws {ConfigurationError} for a specification that has no such labels, or a folder that is not there
 * @throws {DataError} for files that are not what they should be
 */
export async function openSegmentation(spec: string, options: DenseOptions): Promise<SegmentationSource> {
  const parsed = parseDataSpec(spec);
  switch (parsed.kind) {
    case "masks":
      return await openMasks(spec, parsed.path, options);
    case "cityscapes":
      return await openCityscapes(spec, parsed.path, options);
    case "voc":
      return await openVoc(spec, parsed.path, options);
    case "synthetic":
      return openSyntheticLabels(spec, parsed.length, options);
    default:
      throw new ConfigurationError(
        `data specification "${spec}" has no classes of pixels; for segmentation give ${labelForms}`,
      );
  }
}

/**
 * Opens images with objects: `coco:IMAGES,ANNOTATIONS.json`, `cityscapes:DIR`, `voc:DIR` or `synthetic:N`.
 *
 * @param masks whether the objects' masks are wanted, not only boxes
 * @throws {ConfigurationError} for a specification that has no objects, or a folder that is not there
 * @throws {DataError} for files that are not what they should be
 */
export async function openInstances(
  spec: string,
  masks: boolean,
  options: DenseOptions,
): Promise<InstanceSource> {
  const parsed = parseDataSpec(spec);
  switch (parsed.kind) {
    case "coco":
      return await openCoco(spec, parsed.path, parsed.annotations, masks, options);
    case "cityscapes":
      return await openCityscapesObjects(spec, parsed.path, options);
    case "voc":
      return await openVocObjects(spec, parsed.path, masks, options);
    case "synthetic":
      return openSyntheticObjects(spec, parsed.length, options);
    default:
      throw new ConfigurationError(
        `data specification "${spec}" has no objects; for detection give ${objectForms}`,
      );
  }
}

/** Where the photos of a dense set lie, for whoever wants no labels. Paths are relative to `root`. */
export async function listDense(
  spec: DenseSpec,
  options: Pick<SourceOptions, "strict" | "onWarning">,
): Promise<{ root: string; paths: string[] }> {
  switch (spec.kind) {
    case "masks": {
      const { root, images } = await listMasks(spec.path, options);
      return { root, paths: images };
    }
    case "cityscapes": {
      const { root, images } = await listCityscapes(spec.path);
      return { root, paths: images };
    }
    case "voc": {
      const { root, names } = await listVoc(spec.path, "detection");
      return { root, paths: names.map((name) => `JPEGImages/${name}.jpg`) };
    }
    case "coco": {
      const { root, images } = await listCoco(spec.path, spec.annotations, options);
      return { root, paths: images.map(({ file }) => file) };
    }
  }
}

/** A photo with what is known of it. */
export interface DenseSample<Target extends LabelTarget | InstanceTarget> {
  /** In the source. */
  readonly index: number;
  readonly image: DecodedImage;
  readonly target: Target;
}

/**
 * Loads photos with their targets; undefined where a photo is broken.
 *
 * @throws {DataError} for a label that cannot be used, or is of another shape than its photo
 */
export async function loadSamples<Target extends LabelTarget | InstanceTarget>(
  source: DenseSource<Target>,
  indices: readonly number[],
): Promise<(DenseSample<Target> | undefined)[]> {
  const images = await source.images.load(indices);
  return await Promise.all(images.map(async (image, at) => {
    if (!image) return undefined;
    const index = indices[at];
    const target = await source.target(index);
    expectSameShape(image, target, nameOf(source.images, index));
    return { index, image, target };
  }));
}

/** The path of an image, or its number in a set that is made. */
export function nameOf({ origin, name }: ImageSource, index: number): string {
  if (origin?.kind === "images") return `${origin.root}/${origin.paths[index]}`;
  return `${name}, image ${index}`;
}
