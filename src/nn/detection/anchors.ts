/** Anchors: the boxes that a region proposal network starts from. */
import { ShapeError } from "../../errors.ts";
import { type Boxes, type ImageSize, joinBoxes } from "./boxes.ts";

const f32 = Math.fround;

/** Which anchors stand at each position of each feature map. */
export interface AnchorSettings {
  /** For each map, the sides of square anchors, in pixels of the image. */
  readonly sizes: readonly (readonly number[])[];
  /** Height over width; an anchor keeps the area of its square. */
  readonly ratios: readonly number[];
  /** Whether corners are rounded to whole pixels, half to even, as torchvision does; mmdet and detectron2 do not. */
  readonly rounded: boolean;
}

/** Anchors at a position of each map: those of each ratio by size, as torchvision, mmdet and detectron2 count them. */
export function anchorsPerPosition({ sizes, ratios }: AnchorSettings): number[] {
  return sizes.map(({ length }) => length * ratios.length);
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || rest === 0.5 && floor % 2 !== 0 ? floor + 1 : floor;
}

/** The anchors of one position, around 0. */
export function cellAnchors(
  sizes: readonly number[],
  { ratios, rounded }: Pick<AnchorSettings, "ratios" | "rounded">,
): Boxes {
  const corners: number[] = [];
  for (const ratio of ratios) {
    const height = f32(Math.sqrt(f32(ratio)));
    const width = f32(1 / height);
    for (const size of sizes) {
      const half = [f32(width * size) / 2, f32(height * size) / 2];
      corners.push(-half[0], -half[1], half[0], half[1]);
    }
  }
  // -0 is 0 for whoever adds to it.
  return Float32Array.from(rounded ? corners.map((value) => roundHalfEven(value) + 0) : corners);
}

/**
 * The anchors of each map, ordered by row, column, ratio and size; their centres are multiples of the stride, which is what
 * the padded image has for each position, rounded down.
 *
 * @param maps sizes of the feature maps
 * @param padded size of the batch's images with their padding
 * @throws {ShapeError} unless there are sizes for each map
 */
export function gridAnchors(
  settings: AnchorSettings,
  maps: readonly ImageSize[],
  padded: ImageSize,
): Boxes[] {
  if (maps.length !== settings.sizes.length) {
    throw new ShapeError(`anchors of ${settings.sizes.length} maps for ${maps.length} maps`);
  }
  return maps.map(({ height, width }, map) => {
    const cell = cellAnchors(settings.sizes[map], settings);
    const strideY = Math.floor(padded.height / height), strideX = Math.floor(padded.width / width);
    const anchors = new Float32Array(height * width * cell.length);
    let at = 0;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let corner = 0; corner < cell.length; corner++) {
          anchors[at++] = cell[corner] + (corner % 2 === 0 ? x * strideX : y * strideY);
        }
      }
    }
    return anchors;
  });
}

/** Anchors of all maps, one list. */
export function allAnchors(settings: AnchorSettings, maps: readonly ImageSize[], padded: ImageSize): Boxes {
  return joinBoxes(...gridAnchors(settings, maps, padded));
}
