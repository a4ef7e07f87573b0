/** Features of many images, brought to the host. */
import type { Encoder } from "../nn/encoder.ts";
import type { Statistics } from "../nn/weights.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { Tape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Which features: the backbone's pooled last stage, or the head's projection. */
export type FeatureKind = "pooled" | "projection";

/** A matrix on the host, one row an image. */
export interface FeatureMatrix {
  readonly rows: number;
  readonly dimension: number;
  /** [rows, dimension]. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** Puts the rows of batches below each other. */
export async function collectRows(
  batches: AsyncIterable<Tensor> | Iterable<Tensor>,
  toRows: (images: Tensor) => Promise<Float32Array<ArrayBuffer>>,
): Promise<FeatureMatrix> {
  const parts: Float32Array<ArrayBuffer>[] = [];
  let rows = 0;
  for await (using images of batches) {
    rows += images.shape[0];
    parts.push(await toRows(images));
  }
  const values = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    values.set(part, offset);
    offset += part.length;
  }
  return { rows, dimension: rows === 0 ? 0 : values.length / rows, values };
}

/**
 * Runs images through a subnet in evaluation mode.
 *
 * @param statistics of the batchnorms; the encoder's running ones when absent
 * @param batches images [N, 3, H, W], normalised; released here
 */
export async function extractFeatures(
  encoder: Encoder,
  architecture: Architecture,
  kind: FeatureKind,
  batches: AsyncIterable<Tensor> | Iterable<Tensor>,
  statistics: Statistics = encoder.statistics,
): Promise<FeatureMatrix> {
  return await collectRows(batches, async (images) => {
    using tape = new Tape(encoder.weights.gpu, false);
    const pass = encoder.pass({ tape, training: false, batchnormGroups: 1, statistics });
    const { pooled } = encoder.features(pass, images, architecture);
    return await (kind === "pooled" ? pooled : encoder.project(pass, pooled)).read();
  });
}
