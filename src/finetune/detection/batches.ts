/** Batches of photos with their objects. */
import type { DenseBatch, DenseViews } from "../../data/dense/dense_views.ts";
import { type DenseDraw, drawDense, drawDetection } from "../../data/dense/draw.ts";
import { batchSize, placeObjects } from "../../data/dense/placement.ts";
import type { InstanceTarget } from "../../data/dense/target.ts";
import type { TrainingImages } from "../../nn/detection/losses.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { FineTuneConfig } from "../config.ts";
import { DenseBatches } from "../dense/batches.ts";

/** More than any side. */
const unbounded = 2 ** 20;

/** Draws photos, whole or crops of them, with their objects. */
export class DrawnObjects extends DenseBatches<InstanceTarget> {
  /** @param stride what the batch's sides are padded to a multiple of */
  constructor(
    photos: DenseViews<InstanceTarget>,
    readonly config: FineTuneConfig["detection"],
    readonly stride: number,
    readonly seed: number,
  ) {
    super(photos);
  }

  protected override draw(
    step: number,
    batch: DenseBatch<InstanceTarget>,
  ): { images: Tensor; objects: TrainingImages } {
    const draws = batch.map(({ index, target }) => this.#drawOne(step, index, target));
    const sizes = draws.map(({ placement: { window: { height, width } } }) => ({ height, width }));
    const padded = batchSize(sizes, this.stride);
    const objects = batch.map(({ target }, at) => placeObjects(target, draws[at].placement));
    return { objects: { sizes, padded, objects }, images: this.photos.show(batch, draws, padded) };
  }

  #drawOne(step: number, index: number, target: InstanceTarget): DenseDraw {
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
}
