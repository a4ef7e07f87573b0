/** Batches of photos with what is known of them, drawn together, for the training loop. */
import type { DenseBatch, DenseViews } from "../../data/dense/dense_views.ts";
import type { InstanceTarget, LabelTarget } from "../../data/dense/target.ts";
import { ShapeError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ObjectiveInput } from "../../train/objective.ts";
import type { ViewSource } from "../../train/trainer.ts";

/** What goes with the images of a batch. */
export type GivenWithImages = Pick<ObjectiveInput, "labels" | "objects">;

/** Loads batches ahead of the device. A task says how one is drawn: a function of the seed, the step and the image. */
export abstract class DenseBatches<Target extends LabelTarget | InstanceTarget>
  implements ViewSource, Disposable {
  #ahead: { readonly wanted: Uint32Array; readonly batch: Promise<DenseBatch<Target>> } | undefined;
  /** With the batch that was drawn last. */
  #given: GivenWithImages | undefined;

  constructor(readonly photos: DenseViews<Target>) {}

  /** Shows a batch, and says what goes with it. */
  protected abstract draw(
    step: number,
    batch: DenseBatch<Target>,
  ): GivenWithImages & { readonly images: Tensor };

  prefetch(indices: Uint32Array): void {
    const batch = this.photos.load(indices);
    batch.catch(() => {}); // raised where it is awaited, in views
    this.#ahead = { wanted: indices, batch };
  }

  async ready(): Promise<void> {
    await this.#ahead?.batch.catch(() => {});
  }

  async views(step: number, [indices]: readonly Uint32Array[]): Promise<Tensor[]> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const isThis = ahead?.wanted.every((index, at) => index === indices[at]);
    const { images, ...given } = this.draw(step, await (isThis ? ahead!.batch : this.photos.load(indices)));
    this.#given?.labels?.release();
    this.#given = given;
    return [images];
  }

  /** What goes with the images of the last batch, once; the caller releases it. */
  takeGiven(): GivenWithImages {
    const given = this.#given;
    this.#given = undefined;
    if (!given) throw new ShapeError("what goes with images is asked for before them");
    return given;
  }

  /** Gives device memory back. */
  release(): void {
    this.#given?.labels?.release();
    this.photos.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
