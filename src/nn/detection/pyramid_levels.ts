/** Which map of a feature pyramid a region is taken from. */

const f32 = Math.fround;

/** How regions are spread over a pyramid (Lin et al. 2017, equation 1). */
export interface LevelRule {
  /** Level of the first map: 2 where its stride is 4. */
  readonly firstLevel: number;
  /** Number of maps. */
  readonly levels: number;
  /** Side of the square region, in pixels, that is taken from the canonical level. */
  readonly canonicalScale: number;
  readonly canonicalLevel: number;
}

/** torchvision's `LevelMapper` of `MultiScaleRoIAlign`, for maps of strides 4 to 32. */
export const defaultLevelRule: LevelRule = {
  firstLevel: 2,
  levels: 4,
  canonicalScale: 224,
  canonicalLevel: 4,
};

/**
 * Index of the map of each box: floor(canonicalLevel + log2(sqrt(area) / canonicalScale) + 1e-6), kept within the maps, in
 * float32 as torchvision computes it. A box without area goes to the first map.
 *
 * @param boxes corners x1, y1, x2, y2 of each
 */
export function pyramidLevels(boxes: Float32Array, rule: LevelRule = defaultLevelRule): Uint8Array {
  const { firstLevel, levels, canonicalScale, canonicalLevel } = rule;
  return Uint8Array.from({ length: boxes.length / 4 }, (_, box) => {
    const [x1, y1, x2, y2] = boxes.subarray(4 * box, 4 * box + 4);
    const side = f32(Math.sqrt(f32(f32(x2 - x1) * f32(y2 - y1))));
    const exact = f32(f32(canonicalLevel + f32(Math.log2(f32(side / canonicalScale)))) + f32(1e-6));
    const level = Math.floor(exact) - firstLevel;
    return Math.min(Math.max(Number.isNaN(level) ? 0 : level, 0), levels - 1);
  });
}
