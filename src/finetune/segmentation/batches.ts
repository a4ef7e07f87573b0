/** Batches of photos with the classes of their pixels, drawn together, for the training loop. */
import type { DenseViews } from "../../data/dense/dense_views.ts";
import { type DenseAugmentation, drawDense } from "../../data/dense/draw.ts";
import { placeLabels } from "../../data/dense/placement.ts";
import { ignoredClass, type LabelTarget } from "../../data/dense/target.ts";
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { ViewSource } from "../../train/trainer.ts";

type LoadedBatch = Awaited<ReturnType<DenseViews<LabelTarget>["load"]>>;

/** Draws crops of photos and labels alike: a function of the seed, the step and the image. */
export class LabelledCrops implements ViewSource {
  #ahead: { readonly wanted: Uint32Array; readonly loaded: Promise<LoadedBatch> } | undefined;
  /** Of the batch that was made last. */
  #labels: Tensor | undefined;

  constructor(
    readonly gpu: Gpu,
    readonly photos: DenseViews<LabelTarget>,
    readonly augmentation: DenseAugmentation,
    readonly seed: number,
  ) {}

  prefetch(indices: Uint32Array): void {
    const loaded = this.photos.load(indices);
    loaded.catch(() => {}); // raised where it is awaited, in views
    this.#ahead = { wanted: indices, loaded };
  }

  async ready(): Promise<void> {
    await this.#ahead?.loaded.catch(() => {});
  }

  async views(step: number, [indices]: readonly Uint32Array[]): Promise<Tensor[]> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const batch =
      await (ahead && ahead.wanted.every((index, at) => index === indices[at])
        ? ahead.loaded
        : this.photos.load(indices));
    const { augmentation, seed, gpu } = this;
    const size = augmentation.crop;
    const draws = batch.map(({ index, target }) => drawDense(augmentation, { seed, step, index }, target));
    const pixels = size.height * size.width;
    const labels = new Uint32Array(batch.length * pixels);
    batch.forEach(({ target }, at) =>
      labels.set(placeLabels(target, draws[at].placement, size, ignoredClass), at * pixels)
    );
    this.#labels?.release();
    this.#labels = Tensor.from(gpu, labels, [batch.length, size.height, size.width]);
    return [this.photos.show(batch, draws, size)];
  }

  /** The classes of the pixels of the last batch, [N, H, W]; the caller releases them. */
  takeLabels(): Tensor {
    const labels = this.#labels;
    this.#labels = undefined;
    if (!labels) throw new ShapeError("labels are asked for before their images");
    return labels;
  }

  /** Gives device memory back. */
  release(): void {
    this.#labels?.release();
    this.photos.release();
  }
}
