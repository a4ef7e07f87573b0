/** Batches of photos with their objects, drawn together, for the training loop. */
import type { DenseViews } from "../../data/dense/dense_views.ts";
import { type DenseDraw, drawDense, drawDetection } from "../../data/dense/draw.ts";
import { batchSize, placeObjects } from "../../data/dense/placement.ts";
import type { InstanceTarget } from "../../data/dense/target.ts";
import { ShapeError } from "../../errors.ts";
import type { TrainingImages } from "../../nn/detection/losses.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ViewSource } from "../../train/trainer.ts";
import type { FineTuneConfig } from "../config.ts";

type LoadedBatch = Awaited<ReturnType<DenseViews<InstanceTarget>["load"]>>;

/** More than any side. */
const unbounded = 2 ** 20;

/** Draws photos, whole or crops of them, with their objects: a function of the seed, the step and the image. */
export class DrawnObjects implements ViewSource {
  #ahead: { readonly wanted: Uint32Array; readonly loaded: Promise<LoadedBatch> } | undefined;
  /** Of the batch that was made last. */
  #objects: TrainingImages | undefined;

  /** @param stride what the batch's sides are padded to a multiple of */
  constructor(
    readonly photos: DenseViews<InstanceTarget>,
    readonly config: FineTuneConfig["detection"],
    readonly stride: number,
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
    const draws = batch.map(({ index, target }) => this.#draw(step, index, target));
    const sizes = draws.map(({ placement: { window: { height, width } } }) => ({ height, width }));
    const padded = batchSize(sizes, this.stride);
    const objects = batch.map(({ target }, at) => placeObjects(target, draws[at].placement));
    this.#objects = { sizes, padded, objects };
    return [this.photos.show(batch, draws, padded)];
  }

  #draw(step: number, index: number, target: InstanceTarget): DenseDraw {
    const { seed, config: { shortSide, longSide, crop, augmentScale, flip } } = this;
    if (!crop && shortSide !== null) {
      return drawDetection(
        { shortSides: [shortSide], longSide, flip, colour: null },
        { seed, step, index },
        target,
      );
    }
    const [height, width] = crop ?? [unbounded, unbounded];
    return drawDense(
      {
        scale: augmentScale,
        base: shortSide === null ? null : { shortSide, longSide },
        crop: { height, width },
        mostOfOneClass: 1,
        flip,
        colour: null,
      },
      { seed, step, index },
      target,
    );
  }

  /** What is on the last batch. */
  takeObjects(): TrainingImages {
    const objects = this.#objects;
    this.#objects = undefined;
    if (!objects) throw new ShapeError("objects are asked for before their images");
    return objects;
  }

  /** Gives device memory back. */
  release(): void {
    this.photos.release();
  }
}
