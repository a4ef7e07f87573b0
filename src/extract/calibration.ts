/** Images of a source as calibration batches. */
import { splitHeldOut } from "../data/split.ts";
import { type ImageSource, openSource, type TensorSource } from "../data/source.ts";
import { openViews, type ViewMaker } from "../data/views.ts";
import type { Config } from "../config/schema.ts";
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { purpose, Random } from "../random.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Calibration } from "./model.ts";

/** Which images to calibrate with. */
export interface CalibrationRequest {
  /** Data specification; undefined for the images that the run was trained on, without those held out. */
  readonly source: string | undefined;
  /** Number of images, from 2; all where the source has fewer. */
  readonly images: number;
  /** Something the user should know. */
  onWarning(message: string): void;
}

/** Opened calibration images; close them when done. */
export interface OpenedCalibration extends Calibration {
  /**
   * Batches [N, 3, H, W] from the start at every call; the reader releases them.
   *
   * @param onProgress told how many images of this pass are done
   */
  batches(onProgress: (done: number) => void): AsyncIterable<Tensor>;
  close(): void;
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
  request: CalibrationRequest,
): Promise<OpenedCalibration> {
  const { data, training } = config;
  const spec = request.source ?? data.source;
  const source = await openSource(spec, {
    imageSize: data.imageSize,
    seed: training.seed,
    strict: data.strict,
    cacheBytes: data.cacheMegabytes * 2 ** 20,
    // Most of a large set is never looked at.
    preload: false,
    onWarning: request.onWarning,
  });
  try {
    checkImages(spec, source, data.imageSize);
    const heldOut = request.source === undefined && data.test === null ? data.heldOut : 0;
    const { train } = splitHeldOut(source.length, heldOut, training.seed);
    const chosen = new Random(training.seed, purpose.calibration).permutation(train.length)
      .slice(0, request.images).map((at) => train[at]).sort();
    if (chosen.length < request.images) {
      request.onWarning(`${spec} has only ${chosen.length} images to calibrate with; all of them are used.`);
    }
    const views = await openViews(gpu, source, {
      imageSize: data.imageSize,
      mean: data.mean,
      std: data.std,
      augmentation: "none",
      seed: training.seed,
      pool: train,
      residentBytes: 0,
    });
    return {
      images: chosen.length,
      source: spec,
      batches: (onProgress) => readBatches(views, chosen, training.batch, onProgress),
      close() {
        views.close();
        source.close();
      },
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

function checkImages(spec: string, source: ImageSource | TensorSource, imageSize: number): void {
  if (source.length < 2) {
    throw new DataError(
      `${spec} has ${source.length} image${
        source.length === 1 ? "" : "s"
      }; batchnorm statistics need at least 2. ` +
        `Give more images with --data, or keep the running statistics with --calibrate 0.`,
    );
  }
  if (source.kind === "tensor" && (source.height !== imageSize || source.width !== imageSize)) {
    throw new DataError(
      `${spec} has images of ${source.height} x ${source.width} pixels; the run's are ${imageSize} x ${imageSize} ` +
        `(data.imageSize). Give images of that size with --data.`,
    );
  }
}

/** Equal batches, as far as that goes: statistics of a last batch of one image would be worthless. */
async function* readBatches(
  views: ViewMaker,
  indices: Uint32Array,
  batchSize: number,
  onProgress: (done: number) => void,
): AsyncGenerator<Tensor> {
  const batches = Math.max(1, Math.ceil(indices.length / Math.max(2, batchSize)));
  for (let batch = 0; batch < batches; batch++) {
    const [first, end] = [batch, batch + 1].map((part) => Math.floor(part * indices.length / batches));
    const { images } = await views.evaluationBatch(indices.subarray(first, end));
    yield images;
    onProgress(end);
  }
}
