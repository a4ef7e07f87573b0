import { openSource } from "../../src/data/source.ts";
import type { ImageSource, SourceOptions, TensorSource } from "../../src/data/image_set.ts";

/** Opens a specification that must give images, with small defaults. */
export async function openImages(spec: string, options: Partial<SourceOptions> = {}): Promise<ImageSource> {
  const source = await openSource(spec, { imageSize: 32, seed: 0, workers: 2, ...options });
  if (source.kind === "images") return source;
  throw new Error(`${spec} gave a ${source.kind} source`);
}

/** Opens a specification that must give tensors. */
export async function openTensors(spec: string): Promise<TensorSource> {
  const source = await openSource(spec, { imageSize: 32, seed: 0 });
  if (source.kind === "tensor") return source;
  throw new Error(`${spec} gave a source of ${source.kind}`);
}
