/** The one door to every kind of set of images. */
import { type DataSource, specsOf } from "../config/data_source.ts";
import { ConfigurationError } from "../errors.ts";
import type { ImageSource, SourceOptions, TensorSource } from "./image_set.ts";
import { parseDataSpec } from "./spec.ts";

/** Most that a shorter side is kept at or resized to, in sides of the network's input. */
const mostSides = 8;

/**
 * Opens the images of a data specification: a folder (`DIR` or `folder:DIR`), a list file (`LIST.txt` or `list:FILE`),
 * `synthetic[:N]`, `cifar10:DIR`, `tensor:FILE.safetensors`, shards (`tar:DIR/train-{000..127}.tar`), or the photos of a set with labels of pixels or objects
 * (`masks:DIR`, `cityscapes:DIR`, `voc:DIR`, `coco:IMAGES,ANNOTATIONS.json`); or of several, whose images follow each other as one set.
 * Close the source when done: its Workers keep the process alive.
 *
 * @throws ConfigurationError for a specification or an option that cannot be used, or a missing file or folder
 * @throws DataError for files that are not what the specification says, or hold no images
 */
export async function openSource(
  source: DataSource,
  options: SourceOptions,
): Promise<ImageSource | TensorSource> {
  const specs = specsOf(source);
  const parsed = specs.map(parseDataSpec);
  if (!Number.isInteger(options.imageSize) || options.imageSize < 8 || options.imageSize > 4096) {
    throw new ConfigurationError(`image size ${options.imageSize}: give a whole number from 8 to 4096`);
  }
  const { imageSize, resize = imageSize, storedSide = imageSize + 1 } = options;
  const sides: [string, number, number][] = [
    ["resize", resize, imageSize],
    ["stored side", storedSide, imageSize + 1],
  ];
  for (const [name, side, least] of sides) {
    if (Number.isInteger(side) && side >= least && side <= mostSides * imageSize) continue;
    throw new ConfigurationError(
      `${name} ${side}: give a whole number from ${least} to ${mostSides} times the image size, ${imageSize}`,
    );
  }
  if (specs.length > 1) return await (await import("./joined.ts")).openJoined(specs, options);
  const [spec] = specs;
  const [one] = parsed;
  switch (one.kind) {
    case "synthetic":
      return (await import("./synthetic/source.ts")).openSynthetic(spec, one.length, options);
    case "folder":
      return await (await import("./folder.ts")).openFolder(spec, one.path, options);
    case "list":
      return await (await import("./list_file.ts")).openList(spec, one.path, options);
    case "cifar10":
      return await (await import("./cifar10.ts")).openCifar10(spec, one.path);
    case "tensor":
      return await (await import("./tensor_file.ts")).openTensorFile(spec, one.path);
    case "tar":
      return await (await import("./tar/tar_source.ts")).openTar(spec, one.shards, options);
    default: {
      // Without their labels, e.g. to pretrain on.
      const { root, paths } = await (await import("./dense/open.ts")).listDense(one, options);
      const listing = {
        paths,
        stray: 0,
        leftOut: [],
        reachedAgain: [],
        otherFiles: new Map<string, number>(),
      };
      return await (await import("./folder.ts")).openListing(spec, root, listing, options);
    }
  }
}
