/**
 * Batches of photos with their labels or objects, for training and evaluation: photos on the device where the set fits there,
 * labels on the host.
 *
 * @example
 * ```ts ignore
 * const views = await DenseViews.open(gpu, source, { mean, std, antialias: true });
 * const batch = await views.load(indices);          // may run ahead of the device
 * const draws = batch.map(({ index, target }) => drawDense(settings, { seed, step, index }, target));
 * using images = views.show(batch, draws, size);    // [images, 3, height, width]
 * const labels = batch.map(({ target }, at) => placeLabels(target, draws[at].placement, size, ignoredClass));
 * ```
 */
import type { Gpu } from "../../gpu/device.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { type FetchedImages, GpuImages } from "../gpu_images.ts";
import { type ColourStep, denseCrop } from "./dense_crop.ts";
import { nameOf } from "./open.ts";
import type { Placement, Size } from "./placement.ts";
import type { DenseSource, InstanceTarget, LabelTarget } from "./target.ts";
import { expectSameShape } from "./whole_images.ts";

/** How photos become network inputs. */
export interface DenseViewSettings {
  /** Subtracted from red, green, blue in [0, 1]. */
  readonly mean: readonly [number, number, number];
  /** Divides red, green, blue after that. */
  readonly std: readonly [number, number, number];
  /** Whether what shrinks is averaged; torchvision's detectors do not. */
  readonly antialias: boolean;
  /** Images that may stand in for a broken one, ascending; default: all. */
  readonly pool?: Uint32Array;
  /** Most device memory for the whole set, in bytes; see `GpuImages.open`. */
  readonly residentBytes?: number;
}

/** A loaded batch: of each image what is known of it, ready to be drawn for. */
export interface DenseBatch<Target>
  extends ReadonlyArray<{ readonly index: number; readonly target: Target }> {
  /** The photos, once each and in this order. */
  readonly photos: FetchedImages;
}

/** The photos of a set and what is known of them. */
export class DenseViews<Target extends LabelTarget | InstanceTarget> implements Disposable {
  readonly #pool: Uint32Array;

  private constructor(
    readonly source: DenseSource<Target>,
    readonly settings: DenseViewSettings,
    readonly images: GpuImages,
  ) {
    this.#pool = settings.pool ?? Uint32Array.from({ length: source.images.length }, (_, index) => index);
  }

  /** Uploads the photos if they fit. The source stays open. */
  static async open<Target extends LabelTarget | InstanceTarget>(
    gpu: Gpu,
    source: DenseSource<Target>,
    settings: DenseViewSettings,
  ): Promise<DenseViews<Target>> {
    return new DenseViews(source, settings, await GpuImages.open(gpu, source.images, settings.residentBytes));
  }

  /**
   * Gets a batch ready on the host. In place of an image that is broken stands the next one of the pool, whose index the
   * batch has then: evaluation asks only for what is not in `source.images.broken`, or counts nothing twice.
   *
   * @throws {DataError} when no image can stand in, a label cannot be used, or is of another shape than its photo
   */
  async load(indices: Uint32Array): Promise<DenseBatch<Target>> {
    const photos = await this.images.fetch(indices, this.#pool);
    const batch = await Promise.all(Array.from(photos.indices, async (index, at) => {
      const target = await this.source.target(index);
      const shape = photos.images?.[at] ?? this.images.whole!.places[index]!;
      expectSameShape(shape, target, nameOf(this.source.images, index));
      return { index, target };
    }));
    return Object.assign(batch, { photos });
  }

  /**
   * Shows a batch. Uploads: call it before the rest of the step is recorded.
   *
   * @param draws one for each image
   * @param size of the input
   * @returns [images, 3, height, width], normalised and padded with 0; the caller releases it
   */
  show(
    { photos }: DenseBatch<Target>,
    draws: readonly { readonly placement: Placement; readonly colours: readonly ColourStep[] }[],
    size: Size,
  ): Tensor {
    const { mean, std, antialias } = this.settings;
    const { pixels, places, release } = this.images.place(photos);
    const samples = places.map((place, at) => ({ ...place, ...draws[at] }));
    const { height, width } = size;
    const shown = denseCrop(this.images.gpu, pixels, samples, { height, width, mean, std }, antialias);
    release();
    return shown;
  }

  /** Gives device memory back. */
  release(): void {
    this.images.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
