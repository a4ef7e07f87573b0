/** kNN on held-out images: how a run is watched. Labels are used here and nowhere else. */
import type { Config } from "../config/schema.ts";
import type { ViewMaker } from "../data/views.ts";
import { recalibrate } from "../evaluate/calibrate.ts";
import { collectRows, extractFeatures, type FeatureMatrix } from "../evaluate/features.ts";
import { knnAccuracy, type LabelledFeatures } from "../evaluate/knn.ts";
import type { KnnMetrics } from "../store/metrics.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { chooseImages, type KnnImages, type LabelledImages } from "./run_data.ts";
import type { PretrainState } from "./state.ts";

/** Images of one evaluation batch. */
const evaluationBatch = 256;

/** Batches of some images in order; `used` receives the index of each image that was really read. */
export async function* evaluationBatches(
  views: ViewMaker,
  indices: Uint32Array,
  used?: number[],
): AsyncGenerator<Tensor> {
  for (let first = 0; first < indices.length; first += evaluationBatch) {
    const batch = await views.evaluationBatch(indices.subarray(first, first + evaluationBatch));
    used?.push(...batch.indices);
    yield batch.images;
  }
}

/** Evaluates the query encoder at its largest architecture, with batchnorm statistics taken anew. */
export class KnnWatch {
  #pixels: number | undefined;

  constructor(readonly state: PretrainState, readonly config: Config, readonly images: KnnImages) {}

  /**
   * @param withPixels also classify by raw pixels, the baseline that needs no network
   */
  async evaluate(step: number, epoch: number, withPixels: boolean): Promise<KnnMetrics> {
    const { gpu } = this.state;
    const { knn } = this.config;
    if (withPixels) {
      this.#pixels ??= await this.#accuracy((batches) => collectRows(batches, (images) => images.read()));
    }
    const encoder = this.state.queryEncoder;
    const architecture = this.state.space.max;
    const { bank, queries } = this.images;
    const calibration = chooseImages(bank.indices, knn.calibrate, this.config.training.seed);
    const statistics = calibration.length > 0
      ? await recalibrate(encoder, architecture, evaluationBatches(bank.views, shuffled(calibration)))
      : undefined;
    const accuracy = await this.#accuracy((batches) =>
      extractFeatures(encoder, architecture, knn.features, batches, statistics)
    );
    statistics?.release();
    gpu.stream.submit();
    const pixels = withPixels ? { knnPixels: this.#pixels } : {};
    return {
      step,
      epoch,
      knn: accuracy,
      ...pixels,
      images: queries.indices.length,
      bank: bank.indices.length,
    };
  }

  async #accuracy(toFeatures: (batches: AsyncIterable<Tensor>) => Promise<FeatureMatrix>): Promise<number> {
    const labelled = async ({ views, indices, labels }: LabelledImages): Promise<LabelledFeatures> => {
      const used: number[] = [];
      const features = await toFeatures(evaluationBatches(views, indices, used));
      return { ...features, labels: Int32Array.from(used, (index) => labels[index]) };
    };
    const bank = await labelled(this.images.bank);
    const queries = await labelled(this.images.queries);
    return await knnAccuracy(this.state.gpu, bank, queries, this.config.knn);
  }
}

/** Sorted images of a folder come class by class; statistics of a batch need all classes mixed. Every k-th instead. */
function shuffled(indices: Uint32Array): Uint32Array {
  const stride = Math.ceil(indices.length / evaluationBatch);
  return Uint32Array.from(
    Array.from({ length: stride }, (_, offset) => indices.filter((_, at) => at % stride === offset)).flatMap((
      part,
    ) => [...part]),
  );
}
