/** The one door to every kind of set of images. */
import { ConfigurationError } from "../errors.ts";
import type { ImageSource, SourceOptions, TensorSource } from "./image_set.ts";
import { parseDataSpec } from "./spec.ts";

/** Most that a shorter side is kept at or resized to, in sides of the network's input. */
const mostSides = 8;

/**
 * Opens the images of a data specification: `synthetic[:N]`, `folder:DIR`, `cifar10:DIR` or
 * `tensor:FILE.safetensors`. Close the source when done: its Workers keep the process alive.
 *
 * @throws ConfigurationError for a specification or an option that cannot be used, or a missing file or folder
 * @throws DataError for files that are not what the specification says, or hold no images
 */
export async function openSource(spec: string, options: SourceOptions): Promise<ImageSource | TensorSource> {
  const parsed = parseDataSpec(spec);
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
  switch (parsed.kind) {
    case "synthetic":
      return (await import("./synthetic/source.ts")).openSynthetic(spec, parsed.length, options);
    case "folder":
      return await (await import("./folder.ts")).openFolder(spec, parsed.path, options);
    case "cifar10":
      return await (await import("./cifar10.ts")).openCifar10(spec, parsed.path);
    case "tensor":
      return await (await import("./tensor_file.ts")).openTensorFile(spec, parsed.path);
  }
}
