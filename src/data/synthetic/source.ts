import { ImageCache } from "../cache.ts";
import { defaultCacheBytes, type ImageSource, type SourceOptions } from "../image_set.ts";
import { syntheticClasses, syntheticScene } from "./scene.ts";

/**
 * The embedded procedural set: `length` square images of `options.imageSize` pixels, ten balanced classes. Images are
 * drawn at their first use and cached up to the limit.
 */
export function openSynthetic(name: string, length: number, options: SourceOptions): ImageSource {
  const cache = new ImageCache(options.cacheBytes ?? defaultCacheBytes);
  const draw = (index: number) => {
    const cached = cache.get(index);
    if (cached) return cached;
    const { image } = syntheticScene(index, { seed: options.seed, size: options.imageSize });
    cache.add(index, image);
    return image;
  };
  return {
    kind: "images",
    name,
    length,
    labels: Int32Array.from({ length }, (_, index) => index % syntheticClasses.length),
    classes: syntheticClasses,
    skipped: [],
    origin: {
      kind: "made",
      recipe: `synthetic images of ${options.imageSize} pixels, seed ${options.seed}, ${length} of them`,
    },
    load: (indices) => Promise.resolve(indices.map(draw)),
    release: () => cache.clear(),
  };
}
