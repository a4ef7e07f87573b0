/** What images are called, where they come from files. */
import type { ImageSource, TensorSource } from "./image_set.ts";

/**
 * The path of an image, relative to the folder of its set; of a member of an archive `ARCHIVE:MEMBER`. Undefined for images
 * without names.
 */
export function imageName({ origin }: Pick<ImageSource, "origin">, index: number): string | undefined {
  if (origin?.kind === "images") return origin.paths[index];
  return origin?.kind === "records" ? origin.members?.nameOf(index) : undefined;
}

/** {@linkcode imageName} of each image; undefined for images without names. */
export function imageNames({ origin, length }: ImageSource | TensorSource): readonly string[] | undefined {
  if (origin?.kind === "images") return origin.paths;
  if (origin?.kind !== "records" || !origin.members) return undefined;
  const { nameOf } = origin.members;
  return Array.from({ length }, (_, index) => nameOf(index));
}
