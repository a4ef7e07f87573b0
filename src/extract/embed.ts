/** The features of all images of a source as a file: .safetensors, .npz or .csv. */
import { describePreprocessing } from "../data/evaluation_image.ts";
import { imageNames } from "../data/image_name.ts";
import type { ImageSource, TensorSource } from "../data/image_set.ts";
import { streamImages } from "../data/stream.ts";
import { UsageError } from "../errors.ts";
import { writeCsvRows } from "../store/csv_rows.ts";
import { writeNpz } from "../store/npz.ts";
import type { RowBlock, RowLayout } from "../store/rows.ts";
import { writeRows } from "../store/safetensors_rows.ts";
import { version } from "../version.ts";
import type { FeatureNetwork } from "./feature_network.ts";

/** The formats of a file of features, which are also its endings. */
export const featureFormats = ["safetensors", "npz", "csv"] as const;

/** A format of a file of features. */
export type FeatureFormat = typeof featureFormats[number];

/** The columns of a .csv before its features. */
export const csvLeading = ["file", "label"] as const;

/**
 * The format that a path's ending asks for.
 *
 * @throws {UsageError} for another ending
 */
export function featureFormat(path: string): FeatureFormat {
  const format = featureFormats.find((ending) => path.endsWith(`.${ending}`));
  if (format !== undefined) return format;
  throw new UsageError(
    `--out ${path} has an unknown ending. Allowed: ${
      featureFormats.map((ending) => `.${ending}`).join(", ")
    }.`,
  );
}

/**
 * Writes a row for each image that can be read, in the order of the source. `.safetensors` and `.npz` hold `features`
 * [N, D], `indices` [N] (which image of the source each row is of) and, where the source has them, `labels` [N] and
 * `files` (the name of each row's image, see `imageName`: a JSON list in the metadata of `.safetensors`, an array of `.npz`). `.csv` has
 * the columns `file` (or the source and the image's number), `label` (the class's name, or number), `f0`, `f1`, ….
 * In memory are two batches of images and eight bytes an image beside what the source keeps.
 *
 * @param onProgress told how many images are done; an error that it throws ends the work, and there is no file
 * @returns the number of rows
 * @throws {UsageError} for another ending
 * @throws {DataError} as `streamImages`, and when the file system refuses
 */
export async function writeFeatures(
  path: string,
  network: FeatureNetwork,
  source: ImageSource | TensorSource,
  onProgress: (done: number) => void,
): Promise<number> {
  const format = featureFormat(path);
  const rows = featureRows(network, source, onProgress);
  const { labels, classes, name, length } = source;
  const paths = imageNames(source);
  if (format === "csv") {
    return await writeCsvRows(path, {
      leading: csvLeading,
      columns: network.dimension,
      cells({ vectors }, row) {
        const index = vectors.indices[row];
        const label = labels?.[index];
        return [
          paths?.[index] ?? `${name}#${index}`,
          label === undefined ? "" : classes?.[label] ?? label,
        ];
      },
    }, rows);
  }
  const layout: RowLayout = {
    matrix: "features",
    columns: network.dimension,
    vectors: labels ? ["labels", "indices"] : ["indices"],
    texts: paths && { name: "files", values: paths, by: "indices" },
    maximumRows: length,
    metadata: describe(network, source, labels && classes),
  };
  return await (format === "npz" ? writeNpz : writeRows)(path, layout, rows);
}

function describe(
  { name, input, calibration }: FeatureNetwork,
  source: ImageSource | TensorSource,
  classes: readonly string[] | undefined,
): Record<string, string> {
  return {
    scion: version,
    arch: name,
    source: source.name,
    sourceImages: String(source.length),
    imageSize: String(input.imageSize),
    mean: JSON.stringify(input.mean),
    std: JSON.stringify(input.std),
    preprocessing: JSON.stringify(describePreprocessing(input)),
    calibration: calibration ? JSON.stringify(calibration) : "none",
    ...(classes ? { classes: JSON.stringify(classes) } : {}),
  };
}

async function* featureRows(
  network: FeatureNetwork,
  source: ImageSource | TensorSource,
  onProgress: (done: number) => void,
): AsyncGenerator<RowBlock> {
  const { gpu, input, batch } = network;
  for await (const { images, indices } of streamImages(gpu, source, { ...input, batch })) {
    const values = await network.features(images);
    const labels = Int32Array.from(indices, (index) => source.labels?.[index] ?? 0);
    yield { values, vectors: { labels, indices } };
    onProgress(indices[indices.length - 1] + 1);
  }
}
