/** How many images an evaluation batch may have. */
import type { Gpu } from "../gpu/device.ts";
import type { Architecture } from "../space/architecture.ts";
import { featureSides } from "../space/cost.ts";
import type { SearchSpace } from "../space/search_space.ts";

const mostImages = 256;
/** Most bytes of one feature map; a block needs a few of them at once. */
const mapBytes = 2 ** 28;

/** The most values that one image has in any feature map of a subnet. */
function largestMap(space: SearchSpace, { stem, widths }: Architecture, imageSize: number): number {
  const sides = featureSides(space, imageSize);
  const stemSide = space.definition.stem.kind === "7x7" ? Math.ceil(imageSize / 2) : imageSize;
  const maps = widths.flatMap((width, stage) => [
    // A bottleneck's stride is in its second convolution: the first still has the larger map.
    width * (space.definition.block === "bottleneck" ? sides[stage] : sides[stage + 1]) ** 2,
    width * space.expansion * sides[stage + 1] ** 2,
  ]);
  return Math.max(stem * stemSide ** 2, ...maps);
}

/** As many images as keep the device busy, but not more than it can bind and hold. */
export function evaluationBatchSize(
  gpu: Gpu,
  space: SearchSpace,
  architecture: Architecture,
  imageSize: number,
): number {
  const bytes = 4 * largestMap(space, architecture, imageSize);
  return Math.max(1, Math.min(mostImages, Math.floor(Math.min(mapBytes, gpu.pool.limit) / bytes)));
}
