/** Batches of photos with the classes of their pixels. */
import type { DenseBatch, DenseViews } from "../../data/dense/dense_views.ts";
import { drawDense, usualColours } from "../../data/dense/draw.ts";
import { placeLabels } from "../../data/dense/placement.ts";
import { ignoredClass, type LabelTarget } from "../../data/dense/target.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { FineTuneConfig } from "../config.ts";
import { DenseBatches } from "../dense/batches.ts";

/** Draws crops of photos and labels alike. */
export class LabelledCrops extends DenseBatches<LabelTarget> {
  constructor(
    photos: DenseViews<LabelTarget>,
    readonly config: FineTuneConfig["segmentation"],
    readonly seed: number,
  ) {
    super(photos);
  }

  protected override draw(step: number, batch: DenseBatch<LabelTarget>): { images: Tensor; labels: Tensor } {
    const { photos, seed, config: { crop: [height, width], augmentScale: [low, high], scale, flip } } = this;
    const size = { height, width };
    const augmentation = {
      scale: [scale * low, scale * high],
      base: null,
      crop: size,
      mostOfOneClass: 0.75,
      flip,
      colour: usualColours,
    } as const;
    const draws = batch.map(({ index, target }) => drawDense(augmentation, { seed, step, index }, target));
    const pixels = height * width;
    const labels = new Uint32Array(batch.length * pixels);
    batch.forEach(({ target }, at) =>
      labels.set(placeLabels(target, draws[at].placement, size, ignoredClass), at * pixels)
    );
    return {
      labels: Tensor.from(photos.images.gpu, labels, [batch.length, height, width]),
      images: photos.show(batch, draws, size),
    };
  }
}
