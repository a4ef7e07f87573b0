/** The images that candidates are compared on. */
import type { Config } from "../config/schema.ts";
import { type ChosenImages, type ImageRequest, openChosenImages } from "../data/chosen_images.ts";
import type { Gpu } from "../gpu/device.ts";
import { purpose, Random } from "../random.ts";

/**
 * Opens a random choice of images; see {@linkcode openChosenImages}. Warns of images smaller than the network's.
 *
 * @param seed chooses the images
 */
export async function openSearchImages(
  gpu: Gpu,
  config: Config,
  request: ImageRequest,
  seed: number,
): Promise<ChosenImages> {
  const { imageSize = config.data.imageSize } = request;
  return await openChosenImages(
    gpu,
    config,
    request,
    new Random(seed, purpose.candidates, 1),
    async (source, spec) => {
      if (source.kind === "tensor") return;
      const [first] = await source.load([0]);
      if (!first || Math.min(first.width, first.height) >= imageSize) return;
      request.onWarning(
        `${spec} has images of ${first.width} x ${first.height} pixels; features are compared on ${imageSize} x ` +
          `${imageSize}. They are enlarged, and the ranking is one for enlarged images.`,
      );
    },
  );
}
