/** Features of chosen images by the network of a run, as its evaluations take them. */
import type { Config } from "../config/schema.ts";
import type { ImageSource, TensorSource } from "../data/image_set.ts";
import type { ViewMaker } from "../data/view_maker.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { evaluationBatchSize } from "../evaluate/batch_size.ts";
import { recalibrate } from "../evaluate/calibrate.ts";
import { extractFeatures, type FeatureKind, type FeatureMatrix } from "../evaluate/features.ts";
import type { Statistics } from "../nn/weights.ts";
import { purpose, Random } from "../random.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { gatherAll } from "../train/distributed/communicator.ts";
import type { Peers } from "../train/distributed/peers.ts";
import type { PretrainState } from "./state.ts";

/** Some images of a source, with the class of every image of the source where it has labels. */
export interface WatchedImages {
  readonly source: ImageSource | TensorSource;
  readonly views: ViewMaker;
  readonly indices: Uint32Array;
  readonly labels: Int32Array | undefined;
}

/** Features, and the image that each row is of: another than asked for where one stood in for a broken file. */
export interface ImageFeatures extends FeatureMatrix {
  readonly indices: readonly number[];
}

/** What is run over images, of a run or of a checkpoint. */
export type WatchedState =
  & Pick<PretrainState, "gpu" | "space" | "encoder">
  & Partial<Pick<PretrainState, "momentumEncoder">>;

/** Runs the query encoder over images. */
export class WatchedFeatures {
  /** Images of one batch. */
  readonly #batch: number;

  /**
   * @param bank training images, from which batchnorm statistics are taken
   * @param peers processes that look at the same images: each makes the features of a part
   */
  constructor(
    readonly state: WatchedState,
    readonly config: Config,
    readonly bank: WatchedImages,
    readonly peers?: Peers,
  ) {
    const { gpu, space, encoder: { network } } = state;
    this.#batch = evaluationBatchSize(gpu, network, space.max, bank.views.height);
  }

  /**
   * Lends batchnorm statistics taken anew from training images; undefined where the configuration wants the running
   * ones.
   */
  async recalibrated<T>(
    architecture: Architecture,
    use: (statistics: Statistics | undefined) => Promise<T>,
  ): Promise<T> {
    const { bank: { indices, views }, config: { knn, training } } = this;
    const calibration = chooseImages(indices, knn.calibrate, training.seed);
    if (calibration.length === 0) return await use(undefined);
    const order = mixed(calibration, this.#batch);
    const statistics = await recalibrate(
      this.state.encoder,
      architecture,
      evaluationBatches(views, order, this.#batch),
    );
    try {
      return await use(statistics);
    } finally {
      statistics.release();
    }
  }

  /** Features of images, by default of the kind that kNN uses. */
  async read(
    architecture: Architecture,
    images: Pick<WatchedImages, "views" | "indices">,
    statistics: Statistics | undefined,
    kind: FeatureKind = this.config.knn.features,
  ): Promise<ImageFeatures> {
    const { encoder } = this.state;
    return await this.collect(
      images,
      (batches) => extractFeatures(encoder, architecture, kind, batches, statistics),
    );
  }

  /** What a function makes of batches of images, one row an image. */
  async collect(
    { views, indices }: Pick<WatchedImages, "views" | "indices">,
    toRows: (batches: AsyncIterable<Tensor>) => Promise<FeatureMatrix>,
  ): Promise<ImageFeatures> {
    const { peers } = this;
    const used: number[] = [];
    const own = peers ? shareOf(indices, peers) : indices;
    const features = await toRows(evaluationBatches(views, own, this.#batch, used));
    return peers
      ? await joinShares(peers, indices, { ...features, indices: used })
      : { ...features, indices: used };
  }
}

/** A rank's images of a list that all have. */
function shareOf(indices: Uint32Array, { rank, size }: Pick<Peers, "rank" | "size">): Uint32Array {
  const bound = (part: number) => Math.floor(part * indices.length / size);
  return indices.subarray(bound(rank), bound(rank + 1));
}

/** The features of all, in the order of the list. */
async function joinShares(
  { size, communicator }: Peers,
  indices: Uint32Array,
  { dimension, rows, values, indices: used }: ImageFeatures,
): Promise<ImageFeatures> {
  // Shares differ by an image at most; each is sent with room for the longest, and the images that it is of.
  const room = Math.ceil(indices.length / size);
  const message = new Float32Array(room * (dimension + 1));
  message.set(values.subarray(0, rows * dimension));
  new Uint32Array(message.buffer).set(used, room * dimension);
  const all = await gatherAll(communicator, message);
  const joined = new Float32Array(indices.length * dimension), images: number[] = [];
  for (let rank = 0; rank < size; rank++) {
    const count = shareOf(indices, { rank, size }).length;
    const own = all.subarray(rank * message.length, (rank + 1) * message.length);
    joined.set(own.subarray(0, count * dimension), images.length * dimension);
    images.push(...new Uint32Array(own.buffer, own.byteOffset + 4 * room * dimension, count));
  }
  return { rows: indices.length, dimension, values: joined, indices: images };
}

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

/** At most `count` of the images, the same for the same seed, ascending. */
export function chooseImages(images: Uint32Array, count: number, seed: number): Uint32Array {
  if (images.length <= count) return images;
  return new Random(seed, purpose.heldOut, 1).permutation(images.length).slice(0, count).map((at) =>
    images[at]
  ).sort();
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
