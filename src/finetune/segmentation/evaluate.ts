/** How well a network tells the classes of pixels, at the resolution of the labels. */
import type { DenseViews } from "../../data/dense/dense_views.ts";
import { type Size, wholePlacement } from "../../data/dense/placement.ts";
import { ignoredClass, type LabelTarget } from "../../data/dense/target.ts";
import { PixelConfusion } from "../../evaluate/segmentation.ts";
import type { HeadedNetwork } from "../../nn/headed_network.ts";
import { pixelClasses } from "../../tensor/ops/pixel_predictions.ts";
import { Tape } from "../../tensor/tape.ts";

/** What becomes of each image. */
export type OnPrediction = (index: number, classes: Uint8Array<ArrayBuffer>, size: Size) => Promise<void>;

/** Sides that a photo is shown with: its own times a factor, at least a pixel. */
export function scaledSize({ height, width }: Size, scale: number): Size {
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  return { height: side(height), width: side(width) };
}

/**
 * Predicts the classes of all pixels of photos, each as a whole, and counts them against the labels.
 *
 * @param scale that photos are resized by before
 * @param indices of the photos; those that cannot be read are left out
 * @param onPrediction receives each photo's classes, at its label's size
 * @throws the signal's reason when it is interrupted
 */
export async function evaluateSegmentation(
  network: HeadedNetwork,
  views: DenseViews<LabelTarget>,
  indices: Uint32Array,
  classes: number,
  scale: number,
  signal: AbortSignal,
  onPrediction?: OnPrediction,
): Promise<PixelConfusion> {
  const confusion = new PixelConfusion(classes, ignoredClass);
  for (const index of indices) {
    signal.throwIfAborted();
    const batch = await views.load(Uint32Array.of(index));
    const [{ index: loaded, target }] = batch;
    // In place of a photo that cannot be read stands another, which is counted by itself.
    if (loaded !== index) continue;
    const size = { height: target.height, width: target.width };
    const shown = scaledSize(size, scale);
    using images = views.show(batch, [{ placement: wholePlacement(size, shown), colours: [] }], shown);
    using tape = new Tape(network.gpu, false);
    const pass = network.pass({ tape, training: false, batchnormGroups: 1 });
    const [logits] = network.run(pass, images);
    const found = await pixelClasses(tape, logits, [size.height, size.width]).read();
    const predicted = Uint8Array.from(new Uint32Array(found.buffer));
    confusion.add(target.values, predicted, views.source.name);
    await onPrediction?.(index, predicted, size);
  }
  return confusion;
}
