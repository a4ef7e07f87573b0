/** Views of images that nobody has, for the memory plan. */
import type { Config } from "../config/schema.ts";
import { augment, type PlacedSample } from "../data/augment.ts";
import { drawParameters, plainParameters, viewRandom } from "../data/augmentation.ts";
import type { Gpu } from "../gpu/device.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { PretrainState } from "./state.ts";

/**
 * Views of images that are as large as the network's input.
 *
 * @param uploaded bytes of each image that is brought to the device for this
 */
export function rehearseViews(
  gpu: Gpu,
  { data: { imageSize, mean, std } }: Config,
  resident: Tensor | undefined,
  uploaded: number,
  views: readonly (readonly PlacedSample[])[],
): Tensor[] {
  const pixels = resident ?? Tensor.create(gpu, [Math.ceil(views[0].length * uploaded / 4)]);
  const tensors = augment(gpu, pixels, views, { height: imageSize, width: imageSize, mean, std });
  if (!resident) pixels.release();
  return tensors;
}

/** What is drawn for views of one place: lists of as many images each. */
export function drawnSamples(
  { config, step }: PretrainState,
  lists: number,
  images: number,
): PlacedSample[][] {
  const { training: { seed }, data: { imageSize }, augmentation } = config;
  const place = { offset: 0, width: imageSize, height: imageSize };
  return Array.from({ length: lists }, (_, view) =>
    Array.from({ length: images }, (_, index) => ({
      ...place,
      parameters: augmentation === "none"
        ? plainParameters(place)
        : drawParameters(augmentation, viewRandom(seed, step, index, view), place),
    })));
}
