/** How batchnorm's sums over a channel are split among invocations; see kernels/include/channel_parts.wgsl. */
import type { AdapterFacts } from "../../gpu/device.ts";
import { loop, mostLoopTurns } from "../../gpu/limits.ts";

/** Loads of a run, after which its sums join those of the part. */
const runLength = 32;

/** Parts that are summed before they join the rest. */
export const partBlock = 16;

/** The split of the sums of one batchnorm. */
export interface ChannelParts {
  /** The buffers are read as vec4. */
  readonly vector: boolean;
  /** How many parts there are for each group and channel. */
  readonly parts: number;
  /** Turns of the loops of the kernels that make the parts. */
  readonly turns: number;
  /** Those fields of the kernels' parameters that the split decides. */
  readonly params: {
    readonly planeElements: number;
    readonly imageParts: number;
    readonly lanes: number;
    readonly runImages: number;
    readonly runElements: number;
  };
}

/** Turns of the kernels that join the parts: two walks over the parts of each group. */
export function finishTurns(groups: number, parts: number): number {
  return loop(groups, 2 * loop(Math.ceil(parts / partBlock), loop(partBlock)));
}

function split(
  vector: boolean,
  planeElements: number,
  images: number,
  imageParts: number,
  lanes: number,
): ChannelParts {
  const loads = Math.ceil(planeElements / lanes);
  const runs = Math.ceil(loads / runLength);
  const runElements = Math.ceil(loads / runs);
  const runImages = runs > 1 ? 1 : Math.floor(runLength / runElements);
  const rounds = Math.ceil(images / imageParts / runImages);
  return {
    vector,
    parts: imageParts * lanes,
    turns: loop(rounds, loop(runs, loop(runImages, loop(runElements)))),
    params: { planeElements, imageParts, lanes, runImages, runElements },
  };
}

/**
 * Enough parts to fill the device; and where those would loop too long, more, whatever the size.
 *
 * @param images of one of the groups
 * @param plane positions of an image
 */
export function channelParts(
  { software }: AdapterFacts,
  groups: number,
  images: number,
  channels: number,
  plane: number,
): ChannelParts {
  const vector = plane % 4 === 0;
  const planeElements = vector ? plane / 4 : plane;
  let lanes = planeElements >= 64 && !software ? 64 : planeElements >= 8 ? 8 : 1;
  const wanted = software ? 256 : 65536;
  let imageParts = Math.max(1, Math.min(images, Math.ceil(wanted / (channels * lanes)), 64));
  while (imageParts > 1 && finishTurns(groups, imageParts * lanes) > mostLoopTurns) {
    imageParts = Math.ceil(imageParts / 2);
  }
  let parts = split(vector, planeElements, images, imageParts, lanes);
  while (parts.turns > mostLoopTurns && parts.parts < images * planeElements) {
    if (imageParts < images) imageParts = Math.min(images, 2 * imageParts);
    else lanes = Math.min(planeElements, 2 * lanes);
    parts = split(vector, planeElements, images, imageParts, lanes);
  }
  return parts;
}
