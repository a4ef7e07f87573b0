/** What makes network inputs of images, whatever the images are. */
import type { Config } from "../config/schema.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** A batch for evaluation. */
export interface EvaluationBatch {
  /** [images, 3, height, width]; the caller releases it. */
  images: Tensor;
  /** Index in the source of each image; another than asked for where another image had to stand in for a broken file. */
  indices: Uint32Array;
}

/** Makes network inputs of the images of one source. */
export interface ViewMaker {
  /** Height of the network input in pixels. */
  readonly height: number;
  /** Width of the network input in pixels. */
  readonly width: number;
  /**
   * The views of a training step, one tensor [length of the list, 3, height, width] for each list of image indices
   * (first the queries', then the keys'); the caller releases them. A view is a function of the seed, the step, the
   * image and the list's number, and of nothing else. Uploads: call it before the rest of the step is recorded.
   *
   * @throws DataError when images cannot be read and no other can stand in
   */
  views(step: number, lists: readonly Uint32Array[]): Promise<Tensor[]>;
  /**
   * Starts to decode images for the next call of {@linkcode views} that asks for these and no others. An error is raised
   * by that call.
   */
  prefetch(indices: Uint32Array): void;
  /** Resolves when what was prefetched last is decoded, or has failed. */
  ready(): Promise<void>;
  /**
   * Images without randomness, for evaluation and search. Uploads, too.
   *
   * @throws DataError when none of the images can be read
   */
  evaluationBatch(indices: Uint32Array): Promise<EvaluationBatch>;
  /** Gives device memory back. The source stays open. */
  release(): void;
}

/** What `openViews` needs to know. */
export interface ViewSettings {
  /** Side of the network input in pixels; ready-made inputs keep their own size. */
  imageSize: number;
  /** Shorter side that evaluation resizes images to; default: 256/224 of the image size. */
  resize?: number;
  /** Subtracted from red, green, blue in [0, 1]. */
  mean: readonly [number, number, number];
  /** Divides red, green, blue after that. */
  std: readonly [number, number, number];
  /** "none" makes training views as for evaluation. */
  augmentation: Config["augmentation"];
  /** The run's seed. */
  seed: number;
  /** Images that may stand in for a broken one in training, ascending; default: all of the source. */
  pool?: Uint32Array;
  /** Most device memory for a whole set, in bytes. Default: 1 GiB or what can be bound at once. 0 always streams. */
  residentBytes?: number;
}
