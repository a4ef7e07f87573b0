/** A set of images as a library's user wants it: batches of views for training, plain images for search and calibration. */
import type { DataSource } from "../config/data_source.ts";
import { type Config, defaultAugmentation } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import { Tensor } from "../tensor/tensor.ts";
import { batchBounds } from "./chosen_images.ts";
import { listImages } from "./manifest.ts";
import { batchesOf, epochOrder } from "./order.ts";
import { storedSide } from "./stored_side.ts";
import { openSource } from "./source.ts";
import type { ImageSource, TensorSource } from "./image_set.ts";
import { openViews } from "./views.ts";
import type { ViewMaker } from "./view_maker.ts";

/** How images become a network's input. */
export interface LoadSettings {
  /** Side of the network's square input, in pixels. */
  readonly imageSize: number;
  /** Subtracted from red, green, blue in [0, 1]; default 0.5 each. */
  readonly mean?: readonly [number, number, number];
  /** Divides red, green, blue after that; default 0.25 each. */
  readonly std?: readonly [number, number, number];
  /** How training views are drawn; default as MoCo v2 does. */
  readonly augmentation?: Config["augmentation"];
  /** As the configuration's `data.storedSide`; default null. */
  readonly storedSide?: Config["data"]["storedSide"];
  /** Of order and views; default 1. */
  readonly seed?: number;
}

/** Who says in which orders a batch's views are wanted; an objective does. */
interface ViewOrders {
  viewOrders(
    batch: Uint32Array,
    step: number,
  ): readonly { readonly batch: Uint32Array; readonly positions?: Uint32Array<ArrayBuffer> }[];
}

/** The views of one step, released together. */
export interface StepViews extends Disposable {
  readonly views: readonly { readonly images: Tensor; readonly positions?: Tensor }[];
}

/** Opened images. */
export class LoadedImages implements Disposable {
  readonly count: number;
  readonly #orders = new Map<string, Uint32Array[]>();

  private constructor(
    readonly gpu: Gpu,
    /** The specification that they come from. */
    readonly source: string,
    readonly input: Required<Pick<LoadSettings, "imageSize" | "mean" | "std">>,
    readonly seed: number,
    readonly set: ImageSource | TensorSource,
    readonly maker: ViewMaker,
  ) {
    this.count = set.length;
  }

  /**
   * Opens a set of images.
   *
   * @param source `DIR`, `LIST.txt`, `cifar10:DIR`, `tensor:FILE.safetensors`, `tar:FILE.tar` or `synthetic:N`; or several
   * folders and lists
   * @throws {ConfigurationError} for a specification that cannot be used
   * @throws {DataError} for images that cannot be read
   */
  static async open(gpu: Gpu, source: DataSource, settings: LoadSettings): Promise<LoadedImages> {
    const { imageSize, seed = 1, augmentation = defaultAugmentation } = settings;
    const { mean = [0.5, 0.5, 0.5], std = [0.25, 0.25, 0.25] } = settings;
    const data = { imageSize, storedSide: settings.storedSide ?? null };
    const set = await openSource(source, { imageSize, storedSide: storedSide({ data, augmentation }), seed });
    const maker = await openViews(gpu, set, { imageSize, mean, std, augmentation, seed });
    return new LoadedImages(gpu, set.name, { imageSize, mean, std }, seed, set, maker);
  }

  /**
   * The views of a training step: images in a new random order each epoch, a smaller last batch left out.
   *
   * @param step from 0
   * @param size images of a batch, at most all
   */
  async batch(step: number, size: number, objective: ViewOrders): Promise<StepViews> {
    const perEpoch = Math.max(1, Math.floor(this.count / size));
    const epoch = Math.floor(step / perEpoch);
    const batch = this.#epoch(epoch, Math.min(size, this.count))[step % perEpoch];
    const orders = objective.viewOrders(batch, step);
    const images = await this.maker.views(step, orders.map((order) => order.batch));
    const views = orders.map(({ positions }, view) => ({
      images: images[view],
      ...(positions && { positions: Tensor.from(this.gpu, positions) }),
    }));
    return {
      views,
      [Symbol.dispose]() {
        for (const { images, positions } of views) [images, positions].forEach((tensor) => tensor?.release());
      },
    };
  }

  /** Images [first, end) as they are, normalised, [end - first, 3, H, W]; the caller releases them. */
  async load(first: number, end: number): Promise<Tensor> {
    const indices = Uint32Array.from({ length: end - first }, (_, at) => first + at);
    return (await this.maker.evaluationBatch(indices)).images;
  }

  /** Digest of which images these are, and of their contents. */
  async digest(): Promise<string> {
    return (await listImages(this.set)).digest;
  }

  /** All images in batches, from the start; the reader releases them. */
  async *batches(size = 64): AsyncGenerator<Tensor> {
    for (const [first, end] of batchBounds(this.count, size)) yield await this.load(first, end);
  }

  /** The images as what batchnorm statistics are taken from. */
  get calibration(): { images: number; source: string; batches(): AsyncIterable<Tensor> } {
    return { images: this.count, source: this.source, batches: () => this.batches() };
  }

  /** Gives the memory back and closes the files. */
  release(): void {
    this.maker.release();
    this.set.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  #epoch(epoch: number, batchSize: number): Uint32Array[] {
    const key = `${epoch} ${batchSize}`;
    let list = this.#orders.get(key);
    if (!list) {
      const all = Uint32Array.from({ length: this.count }, (_, index) => index);
      list = batchesOf(epochOrder(all, this.seed, epoch, this.set.shards), { batchSize, dropLast: true });
      this.#orders.clear();
      this.#orders.set(key, list);
    }
    return list;
  }
}
