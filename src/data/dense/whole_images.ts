/** The photos of a dense set: whole, as large as they are. */
import { DataError } from "../../errors.ts";
import { openListing } from "../folder.ts";
import type { DecodedImage, ImageSource } from "../image_set.ts";
import type { FolderListing } from "../scan.ts";
import type { DenseOptions, InstanceTarget, LabelTarget } from "./target.ts";

/** Side of a square below which no photo is shrunk on account of its shape. */
const side = 4096;
const longest = 65535;

/** A listing of just these files. */
export function listingOf(paths: string[]): FolderListing {
  return { paths, stray: 0, leftOut: [], reachedAgain: [], otherFiles: new Map() };
}

/**
 * Opens photos in the order of their paths.
 *
 * @param root the folder to which they are relative
 * @throws {DataError} when none can be read, or with `strict` one cannot
 */
export async function openWholeImages(
  name: string,
  root: string,
  paths: string[],
  { storedSide = longest, ...options }: DenseOptions,
): Promise<ImageSource> {
  let warned = false;
  const onOriented = (path: string, { width, height, orientation }: DecodedImage) => {
    // Of those that swap the sides, the annotation's sides tell whether it is for the photo as it is shown.
    if (warned || (orientation! > 4 && width !== height)) return;
    warned = true;
    options.onWarning?.(
      `image "${path}" has the EXIF orientation ${orientation}, which is applied: see that annotations are for photos as ` +
        "they are shown, since nothing in them tells",
    );
  };
  return await openListing(name, root, listingOf(paths), {
    ...options,
    onOriented,
    imageSize: side,
    resize: side,
    storedSide,
  });
}

/**
 * Refuses a photo of another shape than its annotation is for.
 *
 * @param name of the photo
 * @throws {DataError} naming both sizes
 */
export function expectSameShape(
  { width, height }: { readonly width: number; readonly height: number },
  target: LabelTarget | InstanceTarget,
  name: string,
): void {
  const [wide, high] = [target.width, target.height];
  if (width === wide && height === high) return;
  // Shrunk when it was decoded: sides are rounded.
  if (width <= wide && height <= high && Math.abs(width * high - height * wide) <= Math.max(wide, high)) {
    return;
  }
  const turned = width === high && height === wide
    ? ". The photo's EXIF orientation turns it: annotate it as it is shown, or save it without"
    : "";
  throw new DataError(
    `image "${name}" has ${width} x ${height} pixels, but its annotation is for ${wide} x ${high}${turned}`,
  );
}
