/** How large images are kept for training. */
import type { Config } from "../config/schema.ts";
import { evaluationResize } from "./evaluation_image.ts";

/** Most that "auto" keeps, in sides of the network's input; the smallest crops of a scale below 1/16 are enlarged. */
const mostInputs = 4;

/**
 * Longest shorter side that training's images are kept at, in pixels. "auto" is the side at which the smallest crop of a
 * square image has as many pixels as the network's input: `imageSize / sqrt(crop.scale[0])`; without crops, and where
 * nothing is set, that of evaluation.
 */
export function storedSide({ data, augmentation }: {
  readonly data: Pick<Config["data"], "imageSize" | "storedSide">;
  readonly augmentation: Config["augmentation"];
}): number {
  const { imageSize } = data;
  const least = evaluationResize(imageSize);
  if (data.storedSide === null) return least;
  if (data.storedSide !== "auto") return data.storedSide;
  if (augmentation === "none" || augmentation.crop === null) return least;
  const wanted = Math.ceil(imageSize / Math.sqrt(augmentation.crop.scale[0]));
  return Math.max(least, Math.min(wanted, mostInputs * imageSize));
}
