/** A first look at a set: how large its images are. Those that are looked at lie all over it. */
import type { Size } from "../../data/dense/placement.ts";
import type { DenseSource, InstanceTarget, LabelTarget } from "../../data/dense/target.ts";

/** Images that are looked at, at most. */
const looked = 64;

/** What is known of a set's images. */
export interface SetLook {
  readonly images: number;
  /** Sizes of some of them, at least one. */
  readonly sizes: readonly Size[];
  /** Bytes of an image on average, four a pixel. */
  readonly bytesPerImage: number;
}

/**
 * Looks at some images of a set.
 * @throws {DataError} for a label that cannot be read
 */
export async function lookAtSet(source: DenseSource<LabelTarget | InstanceTarget>): Promise<SetLook> {
  const { length } = source.images;
  const count = Math.min(looked, length);
  const sizes: Size[] = [];
  for (let at = 0; at < count; at++) {
    const { height, width } = await source.target(Math.floor(at * length / count));
    sizes.push({ height, width });
  }
  const bytesPerImage = sizes.reduce((sum, size) => sum + 4 * area(size), 0) / count;
  return { images: length, sizes, bytesPerImage: Math.round(bytesPerImage) };
}

/** Pixels. */
export function area({ height, width }: Size): number {
  return height * width;
}

/** The one with the most pixels. */
export function largestOf(sizes: readonly Size[]): Size {
  return sizes.reduce((most, size) => area(size) > area(most) ? size : most);
}
