/** Images of a source as calibration batches. */
import type { Config } from "../config/schema.ts";
import { counted } from "../count.ts";
import {
  batchBounds,
  type ChosenImages,
  type ImageRequest,
  openChosenImages,
} from "../data/chosen_images.ts";
import type { ImageSource, TensorSource } from "../data/image_set.ts";
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { purpose, Random } from "../random.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Calibration } from "./model.ts";

/** Opened calibration images; close them when done. */
export interface OpenedCalibration extends Calibration {
  /**
   * Batches [N, 3, H, W] from the start at every call; the reader releases them.
   *
   * @param onProgress told how many images of this pass are done
   */
  batches(onProgress: (done: number) => void): AsyncIterable<Tensor>;
  release(): void;
}

/**
 * Opens a random choice of images, the same for the same seed of the run.
 *
 * @throws {ConfigurationError} for a specification that cannot be used
 * @throws {DataError} when there are fewer than two images, or ready-made ones of another size than the network's
 */
export async function openCalibration(
  gpu: Gpu,
  config: Config,
  request: ImageRequest,
): Promise<OpenedCalibration> {
  const { training } = config;
  const random = new Random(training.seed, purpose.calibration);
  const chosen = await openChosenImages(gpu, config, request, random, checkCount);
  if (chosen.count < request.images) {
    request.onWarning(
      `${chosen.source} has only ${counted(chosen.count, "image")} to calibrate with; all are used.`,
    );
  }
  return {
    images: chosen.count,
    source: chosen.source,
    batches: (onProgress) => readBatches(chosen, training.batch, onProgress),
    release: chosen.release,
  };
}

function checkCount({ length }: ImageSource | TensorSource, spec: string): void {
  if (length >= 2) return;
  throw new DataError(
    `${spec} has ${length} image${length === 1 ? "" : "s"}; batchnorm statistics need at least 2. ` +
      `Give more images with --data, or keep the running statistics with --calibrate 0.`,
  );
}

/** Equal batches: statistics of a last batch of one image would be worthless. */
async function* readBatches(
  chosen: ChosenImages,
  batchSize: number,
  onProgress: (done: number) => void,
): AsyncGenerator<Tensor> {
  for (const [first, end] of batchBounds(chosen.count, Math.max(2, batchSize))) {
    yield await chosen.load(first, end);
    onProgress(end);
  }
}
