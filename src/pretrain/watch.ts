/** kNN on held-out images: how a run is watched. Labels are used here and nowhere else. */
import type { Config } from "../config/schema.ts";
import type { ViewMaker } from "../data/view_maker.ts";
import { recalibrate } from "../evaluate/calibrate.ts";
import { evaluationBatchSize } from "../evaluate/batch_size.ts";
import { collectRows, extractFeatures, type FeatureMatrix } from "../evaluate/features.ts";
import { knnClasses, type LabelledFeatures } from "../evaluate/knn.ts";
import type { KnnMetrics } from "../store/metrics.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { chooseImages, type KnnImages, type LabelledImages } from "./run_data.ts";
import type { Architecture } from "../elastic/architecture.ts";
import type { PretrainState } from "./state.ts";

/** Most values of an image, 64x64 pixels, that are compared as they are: a larger bank of images would fill the memory. */
export const mostPixelValues = 12_288;

/** Batches of some images in order; `used` receives the index of each image that was really read. */
export async function* evaluationBatches(
  views: ViewMaker,
  indices: Uint32Array,
  size: number,
  used?: number[],
): AsyncGenerator<Tensor> {
  for (let first = 0; first < indices.length; first += size) {
    const batch = await views.evaluationBatch(indices.subarray(first, first + size));
    used?.push(...batch.indices);
    yield batch.images;
  }
}

/** Evaluates the query encoder at its largest architecture, with batchnorm statistics taken anew. */
export class KnnWatch {
  /** Images of one batch. */
  readonly #batch: number;

  constructor(
    readonly state: Pick<PretrainState, "gpu" | "space" | "encoder">,
    readonly config: Config,
    readonly images: KnnImages,
  ) {
    const { gpu, space, encoder: { network } } = state;
    this.#batch = evaluationBatchSize(gpu, network, space.max, images.bank.views.height);
  }

  /**
   * @param withPixels also classify by raw pixels, the baseline that needs no network; left out for large images
   */
  async evaluate(step: number, epoch: number, withPixels: boolean): Promise<KnnMetrics> {
    const { gpu } = this.state;
    const { bank, queries } = this.images;
    const small = 3 * bank.views.height * bank.views.width <= mostPixelValues;
    const knnPixels = withPixels && small
      ? share(await this.#right((batches) => collectRows(batches, (images) => images.read())))
      : undefined;
    const accuracy = share(await this.rightOf(this.state.space.max));
    gpu.stream.submit();
    return {
      step,
      epoch,
      knn: accuracy,
      knnPixels,
      images: queries.indices.length,
      bank: bank.indices.length,
    };
  }

  /** Whether an architecture's features classify each query right (1), with batchnorm statistics of its own. */
  async rightOf(architecture: Architecture): Promise<Uint8Array> {
    const { encoder } = this.state;
    const { knn } = this.config;
    const { bank } = this.images;
    const calibration = chooseImages(bank.indices, knn.calibrate, this.config.training.seed);
    const statistics = calibration.length > 0
      ? await recalibrate(
        encoder,
        architecture,
        evaluationBatches(bank.views, mixed(calibration, this.#batch), this.#batch),
      )
      : undefined;
    const right = await this.#right((batches) =>
      extractFeatures(encoder, architecture, knn.features, batches, statistics)
    );
    statistics?.release();
    return right;
  }

  async #right(toFeatures: (batches: AsyncIterable<Tensor>) => Promise<FeatureMatrix>): Promise<Uint8Array> {
    const labelled = async ({ views, indices, labels }: LabelledImages): Promise<LabelledFeatures> => {
      const used: number[] = [];
      const features = await toFeatures(evaluationBatches(views, indices, this.#batch, used));
      return { ...features, labels: Int32Array.from(used, (index) => labels[index]) };
    };
    const bank = await labelled(this.images.bank);
    const queries = await labelled(this.images.queries);
    const classes = await knnClasses(this.state.gpu, bank, queries, this.config.knn);
    return Uint8Array.from(classes, (one, row) => Number(one === queries.labels[row]));
  }
}

/** Share of those that are 1. */
export function share(right: Uint8Array): number {
  return right.reduce((sum, one) => sum + one, 0) / right.length;
}

/** Sorted images of a folder come class by class; statistics of a batch need all classes mixed. Every k-th instead. */
export function mixed(indices: Uint32Array, batch: number): Uint32Array {
  const stride = Math.ceil(indices.length / batch);
  const order = new Uint32Array(indices.length);
  let next = 0;
  for (let offset = 0; offset < stride; offset++) {
    for (let at = offset; at < indices.length; at += stride) order[next++] = indices[at];
  }
  return order;
}
