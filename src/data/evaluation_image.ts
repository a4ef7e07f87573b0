/**
 * What evaluation, search and extracted models see of an image: torchvision's default, `Resize(resize)` and
 * `CenterCrop(imageSize)` on 8-bit pixels, bit for bit. docs/images.md tells it to users.
 */
import { bilinearTaps, type ImagePart, resample, tapRange, type Taps } from "./resample.ts";
import type { DecodedImage } from "./image_set.ts";

/** Sides in pixels of evaluation's images. */
export interface EvaluationSize {
  /** Side of the network's input: of the central square that is cut out. */
  readonly imageSize: number;
  /** Shorter side that an image is resized to before; default {@linkcode evaluationResize}. */
  readonly resize?: number;
}

/** The usual shorter side: 256 for an input of 224, and in that ratio for others. */
export function evaluationResize(imageSize: number): number {
  return Math.round(imageSize * 256 / 224);
}

/** How files become pixels, and pixels values: the same for all models. */
export const pixelRules = {
  orientation: "by EXIF",
  transparency: "on white",
  colour: "RGB, profiles ignored; CMYK by its profile",
  values: "(value / 255 - mean) / std",
} as const;

/**
 * What a model's file says about its input, besides the normalisation: enough to make it elsewhere. Readers take `resize`
 * back; the rest is the same for all.
 */
export function describePreprocessing({ imageSize, resize = evaluationResize(imageSize) }: EvaluationSize) {
  return {
    resize,
    centerCrop: imageSize,
    smallImages: `shorter side at most ${imageSize}: resized to ${imageSize}`,
    filter: "bilinear, antialiased, as Pillow's on 8 bits",
    ...pixelRules,
  };
}

/** A central square of an image of a certain size, resized. */
export interface EvaluationPlan {
  readonly rows: Taps;
  readonly columns: Taps;
  /** The part of the image that is read. */
  readonly part: Omit<ImagePart, "channels" | "pixels">;
}

/** Python's `round` of half a whole number: to the even neighbour. */
function roundHalf(doubled: number): number {
  const down = Math.floor(doubled / 2);
  return doubled % 2 === 0 || down % 2 === 0 ? down : down + 1;
}

/**
 * How an image becomes the network's input. One whose shorter side is at most `imageSize` is resized to `imageSize`, so that
 * small images lose no edge and images of that very size stay as they are; every other one to `resize`.
 */
export function planEvaluation(width: number, height: number, size: EvaluationSize): EvaluationPlan {
  const { imageSize, resize = evaluationResize(imageSize) } = size;
  const shorter = Math.min(width, height);
  const side = shorter <= imageSize ? imageSize : resize;
  const taps = (inputs: number) => {
    const outputs = inputs === shorter ? side : Math.trunc(side * inputs / shorter);
    return bilinearTaps(inputs, outputs, roundHalf(outputs - imageSize), imageSize);
  };
  const [rows, columns] = [taps(height), taps(width)];
  const [[top, bottom], [left, right]] = [tapRange(rows), tapRange(columns)];
  return { rows, columns, part: { top, left, width: right - left, height: bottom - top } };
}

/** The network's input as an image of `imageSize` squared; the image itself where it has that size. */
export function evaluationImage(image: DecodedImage, size: EvaluationSize): DecodedImage {
  const { width, height, pixels, orientation } = image;
  if (width === size.imageSize && height === size.imageSize) return image;
  const { rows, columns } = planEvaluation(width, height, size);
  const whole = { top: 0, left: 0, width, height, channels: 4, pixels };
  const { imageSize: side } = size;
  return {
    width: side,
    height: side,
    pixels: resample(whole, rows, columns),
    ...(orientation && { orientation }),
  };
}
