/** The features of all images of a source as a file. */
import type { ImageSource, TensorSource } from "../data/image_set.ts";
import { streamImages } from "../data/stream.ts";
import { evaluationBatchSize } from "../evaluate/batch_size.ts";
import { extractFeatures } from "../evaluate/features.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { featureChannels } from "../elastic/network.ts";
import { type RowBlock, writeRows } from "../store/safetensors_rows.ts";
import { version } from "../version.ts";
import { chooseColumns } from "./channel_order.ts";
import type { FrozenNetwork } from "./network.ts";

/** Channels of the pooled features. */
export function featureDimension({ architecture, encoder }: FrozenNetwork): number {
  return featureChannels(encoder.network, architecture);
}

/**
 * Writes `features` F32 [N, D], `indices` I32 [N] (which image of the source each row is of: broken ones have no row)
 * and, where the source has them, `labels` I32 [N], in the order of the source. In memory are two batches of images
 * and eight bytes an image.
 *
 * @param onProgress told how many images are done; an error that it throws ends the work, and there is no file
 * @returns the number of rows
 * @throws {DataError} as `streamImages`, and when the file system refuses
 */
export async function writeFeatures(
  path: string,
  network: FrozenNetwork,
  source: ImageSource | TensorSource,
  onProgress: (done: number) => void,
): Promise<number> {
  const { labels, classes } = source;
  return await writeRows(path, {
    matrix: "features",
    columns: featureDimension(network),
    vectors: labels ? ["labels", "indices"] : ["indices"],
    maximumRows: source.length,
    metadata: describe(network, source, labels && classes),
  }, featureRows(network, source, onProgress));
}

function describe(
  { architecture, input, calibration }: FrozenNetwork,
  source: ImageSource | TensorSource,
  classes: readonly string[] | undefined,
): Record<string, string> {
  return {
    scion: version,
    arch: formatArchitecture(architecture),
    source: source.name,
    sourceImages: String(source.length),
    imageSize: String(input.imageSize),
    mean: JSON.stringify(input.mean),
    std: JSON.stringify(input.std),
    calibration: calibration ? JSON.stringify(calibration) : "none",
    ...(classes ? { classes: JSON.stringify(classes) } : {}),
  };
}

async function* featureRows(
  { encoder, architecture, statistics, input, featureOrder }: FrozenNetwork,
  source: ImageSource | TensorSource,
  onProgress: (done: number) => void,
): AsyncGenerator<RowBlock> {
  const { gpu } = encoder.weights;
  const batch = evaluationBatchSize(gpu, encoder.network, architecture, input.imageSize);
  for await (const { images, indices } of streamImages(gpu, source, { ...input, batch })) {
    const { values } = await extractFeatures(encoder, architecture, "pooled", [images], statistics);
    const labels = Int32Array.from(indices, (index) => source.labels?.[index] ?? 0);
    yield {
      values: featureOrder ? chooseColumns(values, featureOrder) : values,
      vectors: { labels, indices },
    };
    onProgress(indices[indices.length - 1] + 1);
  }
}
