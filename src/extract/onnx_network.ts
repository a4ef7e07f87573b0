/** An ONNX file as a network that makes features: Scion's own, or another program's. */
import { basename } from "@std/path";
import { evaluationResize } from "../data/evaluation_image.ts";
import { DataError, UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { openOnnxModel } from "../host/onnx_model.ts";
import type { FeatureNetwork } from "./feature_network.ts";
import { type ModelInput, parseOnnxMetadata } from "./model.ts";

/** ImageNet's, which most networks of others expect. */
const usual = {
  imageSize: 224,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
} as const satisfies ModelInput;

/** Images of a batch. The networks of others may be large, and run on the processor. */
const batch = 32;

/**
 * Opens an ONNX file. What images it expects is, in this order: what is given; what the file's metadata say where Scion
 * wrote it; the size of its input where that is fixed; ImageNet's.
 *
 * @param gpu where images are prepared
 * @param given what the user says about the images
 * @param onAssumed told when the file and the user leave something open, and what is taken
 * @param open opens the file; ONNX Runtime unless in tests
 * @throws {DataError} as `openOnnxModel`, and for images that are not square
 * @throws {UsageError} when the size given is not that of the network
 */
export async function openOnnxNetwork(
  gpu: Gpu,
  path: string,
  given: Partial<ModelInput>,
  onAssumed: (text: string) => void,
  open: typeof openOnnxModel = openOnnxModel,
): Promise<FeatureNetwork> {
  const model = await open(path);
  try {
    const own = parseOnnxMetadata(path, model.metadata);
    const ownInput = own && given.imageSize !== undefined ? { ...own.input, resize: undefined } : own?.input;
    const input: ModelInput = { ...usual, ...fixedSize(path, model.input), ...ownInput, ...given };
    const { resize = evaluationResize(input.imageSize) } = input;
    const open = (["imageSize", "mean", "std"] as const).filter((name) => given[name] === undefined);
    if (!own && open.length > 0) {
      onAssumed(
        `${path} does not say how its images are prepared; they are resized to ${resize}, cropped to ` +
          `${input.imageSize} x ${input.imageSize}, mean ${input.mean.join(",")}, std ${
            input.std.join(",")
          }. Change ` +
          "that with --image-size, --resize, --mean and --std.",
      );
    }
    expectSize(path, model.input, input.imageSize);
    if (resize < input.imageSize) {
      throw new UsageError(
        `--resize ${resize} is less than the ${input.imageSize} pixels that are cut out of the resized image. Give at ` +
          "least as many.",
      );
    }
    // A black image shows the number of features, which the file may leave open, and that images of this size can be run.
    const shape = [1, 3, input.imageSize, input.imageSize];
    const { dimension } = await model.run(new Float32Array(3 * input.imageSize ** 2), shape);
    return {
      gpu,
      name: own?.arch ?? basename(path),
      input,
      calibration: own?.calibration,
      dimension,
      batch,
      async features(images) {
        using batch = images;
        return (await model.run(await batch.read(), batch.shape)).features;
      },
      release: model.release,
    };
  } catch (error) {
    await model.release();
    throw error;
  }
}

type Sides = { readonly height: number | undefined; readonly width: number | undefined };

function fixedSize(path: string, { height, width }: Sides): { imageSize?: number } {
  if (height !== undefined && width !== undefined && height !== width) {
    throw new DataError(`${path} takes images of ${height} x ${width} pixels; only square ones can be made.`);
  }
  const side = height ?? width;
  return side === undefined ? {} : { imageSize: side };
}

function expectSize(path: string, sides: Sides, imageSize: number): void {
  const { imageSize: fixed = imageSize } = fixedSize(path, sides);
  if (fixed === imageSize) return;
  throw new UsageError(
    `--image-size ${imageSize}: ${path} takes images of ${fixed} x ${fixed} pixels. Leave --image-size out.`,
  );
}
