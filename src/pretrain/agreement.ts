/** How well features agree that should: of two views of an image, and of the smallest architecture and the teacher. */
import { dataSeed } from "../config/data_seed.ts";
import type { Config } from "../config/schema.ts";
import { batchBounds } from "../data/chosen_images.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { evaluationBatchSize } from "../evaluate/batch_size.ts";
import { extractFeatures, type FeatureMatrix } from "../evaluate/features.ts";
import { alignment, pairedCosine } from "../evaluate/spread.ts";
import type { Encoder } from "../nn/encoder.ts";
import { Statistics } from "../nn/weights.ts";
import type { AgreementMetrics } from "../store/metrics.ts";
import { Tape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { chooseImages, mixed, type WatchedImages, type WatchedState } from "./watched_features.ts";

/** Training images that are compared, at most: some, because each is seen three times at the largest architecture. */
export const mostAgreementImages = 128;

/** Images whose projections share batchnorm statistics: as many as in a search. */
const projectedBatch = 64;

/**
 * Sizes of batches, at most: of images whose two views are in memory together, and of those that are projected.
 *
 * @param batch images of a batch of an evaluation
 */
export function agreementBatches(batch: number): { readonly views: number; readonly projections: number } {
  const two = Math.max(2, batch);
  return { views: Math.floor(two / 2), projections: Math.min(projectedBatch, two) };
}

/**
 * The step whose views are compared at every evaluation, so that these differ by the network alone. No run has as many
 * steps, so no image is trained on in these views.
 */
const viewsOfStep = 2 ** 32 - 1;

/** Compares features of some training images, the same at each evaluation. */
export class Agreement {
  readonly #indices: Uint32Array;
  readonly #sizes: ReturnType<typeof agreementBatches>;

  constructor(readonly state: WatchedState, readonly config: Config, readonly bank: WatchedImages) {
    const { gpu, space, encoder: { network } } = state;
    const chosen = chooseImages(bank.indices, mostAgreementImages, dataSeed(config));
    this.#sizes = agreementBatches(evaluationBatchSize(gpu, network, space.max, bank.views.height));
    this.#indices = mixed(chosen, this.#sizes.projections);
  }

  /**
   * Measures what there is to measure; undefined where that is nothing.
   *
   * @param statistics of the batchnorms for features at the largest architecture; the running ones when absent
   */
  async measure(statistics: Statistics | undefined): Promise<AgreementMetrics | undefined> {
    const images = this.#indices.length;
    if (images < 2) return undefined;
    const { bank: { source }, config: { augmentation }, state: { space, momentumEncoder, encoder } } = this;
    const augmented = source.kind !== "tensor" && augmentation !== "none";
    const taught = momentumEncoder !== undefined && encoder.head !== undefined && space.size > 1;
    if (!augmented && !taught) return undefined;
    return {
      images,
      ...(augmented && { alignment: await this.#alignment(statistics) }),
      ...(taught && { smallest: await this.#smallest(momentumEncoder) }),
    };
  }

  async #alignment(statistics: Statistics | undefined): Promise<number | null> {
    const { state: { encoder, space }, config: { knn }, bank: { views } } = this;
    const sums = new MeanOverBatches();
    for (const batch of this.#batches(this.#sizes.views)) {
      const both = await views.views(viewsOfStep, [batch, batch]);
      const features: FeatureMatrix[] = [];
      try {
        while (both.length > 0) {
          features.push(
            await extractFeatures(encoder, space.max, knn.features, [both.shift()!], statistics),
          );
        }
      } finally {
        both.forEach((images) => images.release());
      }
      sums.add(alignment(features[0], features[1]), batch.length);
    }
    return sums.mean;
  }

  /** As a search scores by default: by each batch's own statistics, the teacher at the largest architecture. */
  async #smallest(teacher: Encoder): Promise<number | null> {
    const { state: { gpu, encoder, space }, bank: { views } } = this;
    using statistics = new Statistics(gpu, encoder.shapes);
    const sums = new MeanOverBatches();
    for (const batch of this.#batches(this.#sizes.projections)) {
      using images = (await views.evaluationBatch(batch)).images;
      const wanted = await projections(teacher, images, space.max, statistics);
      const found = await projections(encoder, images, space.min, statistics);
      sums.add(pairedCosine(wanted, found), batch.length);
    }
    return sums.mean;
  }

  #batches(size: number): Uint32Array[] {
    return batchBounds(this.#indices.length, size).map(([first, end]) => this.#indices.subarray(first, end));
  }
}

/** Projections by the statistics of the batch itself. */
async function projections(
  encoder: Encoder,
  images: Tensor,
  architecture: Architecture,
  statistics: Statistics,
): Promise<FeatureMatrix> {
  using tape = new Tape(encoder.weights.gpu, false);
  const pass = encoder.pass({ tape, training: true, batchnormGroups: 1, batchnormMomentum: 1, statistics });
  const { pooled } = encoder.features(pass, images, architecture);
  const projected = encoder.project(pass, pooled);
  const [rows, dimension] = projected.shape;
  return { rows, dimension, values: await projected.read() };
}

/** A mean over images, of means over batches. */
class MeanOverBatches {
  #sum = 0;
  #images = 0;

  add(mean: number, images: number): void {
    this.#sum += mean * images;
    this.#images += images;
  }

  /** Null where it is not finite. */
  get mean(): number | null {
    const mean = this.#sum / this.#images;
    return Number.isFinite(mean) ? Number(mean.toPrecision(6)) : null;
  }
}
