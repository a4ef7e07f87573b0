/** Images as features of themselves: the baseline that needs no network. */

/** Images of at most this side are compared as they are. */
const wholeSide = 64;
/** Larger ones are shrunk to at most this side: a large bank of them would fill the memory. */
const shrunkSide = 32;

/** Side of the square blocks of pixels that are averaged; 1 where images are compared as they are. */
export function pixelBlock(height: number, width: number): number {
  const side = Math.max(height, width);
  return side <= wholeSide ? 1 : Math.ceil(side / shrunkSide);
}

/** Values of an image of this size that are compared. */
export function pixelValues(height: number, width: number): number {
  const block = pixelBlock(height, width);
  return 3 * Math.floor(height / block) * Math.floor(width / block);
}

/**
 * Means of the blocks of images; pixels beyond the last whole block are left out.
 *
 * @param images [N, 3, height, width]
 * @returns [N, 3, height / block, width / block], rounded down
 */
export function shrinkPixels(
  images: Float32Array<ArrayBuffer>,
  height: number,
  width: number,
  block: number,
): Float32Array<ArrayBuffer> {
  if (block === 1) return images;
  const [rows, columns] = [height, width].map((side) => Math.floor(side / block));
  const planes = images.length / (height * width);
  const shrunk = new Float32Array(planes * rows * columns);
  for (let at = 0; at < shrunk.length; at++) {
    const column = at % columns,
      row = Math.floor(at / columns) % rows,
      plane = Math.floor(at / (rows * columns));
    let sum = 0;
    for (let y = row * block; y < (row + 1) * block; y++) {
      for (let x = column * block; x < (column + 1) * block; x++) {
        sum += images[(plane * height + y) * width + x];
      }
    }
    shrunk[at] = sum / block ** 2;
  }
  return shrunk;
}
