import { DataError } from "../errors.ts";
import type { DecodedImage, ImageSource, ImageUse } from "./image_set.ts";

/** The images of a batch and the indices that they really come from. */
export interface LoadedBatch {
  images: DecodedImage[];
  indices: Uint32Array;
}

function positionIn(pool: Uint32Array, index: number): number {
  let low = 0, high = pool.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (pool[middle] < index) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The image itself where it is usable, else the next usable one of `pool`, from its end on from its start.
 *
 * @throws DataError when none is
 */
export function standIn(index: number, pool: Uint32Array, isUsable: (index: number) => boolean): number {
  if (isUsable(index)) return index;
  const start = positionIn(pool, index);
  for (let step = 1; step < pool.length; step++) {
    const other = pool[(start + step) % pool.length];
    if (isUsable(other)) return other;
  }
  throw new DataError(`none of ${pool.length} images can be read; check the files`);
}

/**
 * Loads a batch without gaps: in place of an image whose file turns out to be broken stands the next usable one of
 * `pool`, from its end on from its start. So the batch keeps its size and depends on the files only, not on timing.
 *
 * @param indices images of the batch, each one of `pool`
 * @param pool images that may stand in, ascending, e.g. {@linkcode Split.train}
 * @throws DataError when no image of `pool` can be read, or one cannot and the source is strict
 */
export async function loadBatch(
  source: ImageSource,
  indices: Uint32Array,
  pool: Uint32Array,
  use: ImageUse = "training",
): Promise<LoadedBatch> {
  const loaded = await source.load(Array.from(indices), use);
  const used = indices.slice();
  const images: DecodedImage[] = [];
  for (let slot = 0; slot < loaded.length; slot++) {
    let image = loaded[slot];
    const start = image ? 0 : positionIn(pool, indices[slot]);
    for (let step = 1; !image && step < pool.length; step++) {
      used[slot] = pool[(start + step) % pool.length];
      [image] = await source.load([used[slot]], use);
    }
    if (!image) {
      throw new DataError(
        `none of the ${pool.length} images of ${source.name} can be read any more; check the files`,
      );
    }
    images.push(image);
  }
  return { images, indices: used };
}
