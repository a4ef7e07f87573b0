/** How a run is watched: spread and agreement of its features, and with labels kNN. Labels are used here and nowhere else. */
import { dataSeed } from "../config/data_seed.ts";
import type { Config } from "../config/schema.ts";
import { collectRows, type FeatureMatrix } from "../evaluate/features.ts";
import { knnClasses, type LabelledFeatures } from "../evaluate/knn.ts";
import { pixelBlock, shrinkPixels } from "../evaluate/pixels.ts";
import { type FeatureSpread, featureSpread } from "../evaluate/spread.ts";
import type { EvaluationMetrics, KnnMetrics } from "../store/metrics.ts";
import type { Statistics } from "../nn/weights.ts";
import { Agreement } from "./agreement.ts";
import type { KnnImages, LabelledImages } from "./run_data.ts";
import type { Architecture } from "../elastic/architecture.ts";
import type { Peers } from "../train/distributed/peers.ts";
import {
  chooseImages,
  type ImageFeatures,
  WatchedFeatures,
  type WatchedImages,
  type WatchedState,
} from "./watched_features.ts";

/** Most images whose features' spread is measured: the time grows with their square. */
export const mostSpreadImages = 1024;

/** Watches a run by the query encoder at its largest architecture, with batchnorm statistics taken anew. */
export interface Watch {
  /**
   * @param withPixels also classify by raw pixels, of large images shrunk: the baseline that needs no network
   */
  evaluate(step: number, epoch: number, withPixels: boolean): Promise<EvaluationMetrics>;
}

/** Watches a run whose images have no labels, or which holds none out. */
export class SpreadWatch implements Watch {
  readonly #features: WatchedFeatures;
  readonly #agreement: Agreement;

  constructor(
    readonly state: WatchedState,
    readonly config: Config,
    readonly bank: WatchedImages,
    peers?: Peers,
  ) {
    this.#features = new WatchedFeatures(state, config, bank, peers);
    this.#agreement = new Agreement(state, config, bank);
  }

  async evaluate(step: number, epoch: number): Promise<EvaluationMetrics> {
    const { gpu, space: { max } } = this.state;
    const { views, indices } = this.bank;
    const images = { views, indices: chooseImages(indices, mostSpreadImages, dataSeed(this.config)) };
    const { features, agreement } = await this.#features.recalibrated(max, async (statistics) => ({
      features: await this.#features.read(max, images, statistics),
      agreement: await this.#agreement.measure(statistics),
    }));
    gpu.stream.submit();
    return { step, epoch, ...await spreadField(features), ...(agreement && { agreement }) };
  }
}

/** Watches a run with labels. */
export class KnnWatch implements Watch {
  readonly #features: WatchedFeatures;
  readonly #agreement: Agreement;

  constructor(
    readonly state: WatchedState,
    readonly config: Config,
    readonly images: KnnImages,
    peers?: Peers,
  ) {
    this.#features = new WatchedFeatures(state, config, images.bank, peers);
    this.#agreement = new Agreement(state, config, images.bank);
  }

  async evaluate(step: number, epoch: number, withPixels: boolean): Promise<KnnMetrics> {
    const { gpu, space } = this.state;
    const { bank, queries } = this.images;
    const knnPixels = withPixels ? share(await this.#right((images) => this.#pixels(images))) : undefined;
    let seen: FeatureMatrix;
    const { right, agreement } = await this.#features.recalibrated(space.max, async (statistics) => ({
      right: await this.#rightBy(space.max, statistics, (features) => seen = features),
      agreement: await this.#agreement.measure(statistics),
    }));
    gpu.stream.submit();
    return {
      step,
      epoch,
      knn: share(right),
      knnPixels,
      images: queries.indices.length,
      bank: bank.indices.length,
      ...await spreadField(seen!),
      ...(agreement && { agreement }),
    };
  }

  #pixels({ views, indices }: LabelledImages): Promise<ImageFeatures> {
    const { height, width } = views;
    const block = pixelBlock(height, width);
    return this.#features.collect(
      { views, indices },
      (batches) =>
        collectRows(batches, async (batch) => shrinkPixels(await batch.read(), height, width, block)),
    );
  }

  /** Whether an architecture's features classify each query right (1), with batchnorm statistics of its own. */
  async rightOf(architecture: Architecture): Promise<Uint8Array> {
    return await this.#features.recalibrated(
      architecture,
      (statistics) => this.#rightBy(architecture, statistics),
    );
  }

  /** @param onQueries receives the queries' features */
  async #rightBy(
    architecture: Architecture,
    statistics: Statistics | undefined,
    onQueries?: (features: FeatureMatrix) => void,
  ): Promise<Uint8Array> {
    return await this.#right(async (images) => {
      const features = await this.#features.read(architecture, images, statistics);
      if (images === this.images.queries) onQueries?.(features);
      return features;
    });
  }

  async #right(read: (images: LabelledImages) => Promise<ImageFeatures>): Promise<Uint8Array> {
    const labelled = async (images: LabelledImages): Promise<LabelledFeatures> => {
      const features = await read(images);
      return { ...features, labels: Int32Array.from(features.indices, (index) => images.labels[index]) };
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

/** The spread as a metrics line has it; null where it cannot be measured. */
async function spreadField(
  { rows, dimension, values }: FeatureMatrix,
): Promise<{ spread: FeatureSpread | null }> {
  if (rows < 2 || !values.every(Number.isFinite)) return { spread: null };
  const kept = Math.min(rows, mostSpreadImages);
  const spread = await featureSpread({ rows: kept, dimension, values: values.slice(0, kept * dimension) });
  const short = (value: number) => Number(value.toPrecision(6));
  const { images, deadShare, effectiveRank, meanCosine, collapsedShare, uniformity } = spread;
  return {
    spread: {
      ...{ images, dimension, deadShare, effectiveRank: short(effectiveRank), meanCosine: short(meanCosine) },
      ...{ collapsedShare: short(collapsedShare), uniformity: short(uniformity) },
    },
  };
}
