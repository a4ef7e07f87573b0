/** Views of 8-bit images: drawn on the host, made on the device. */
import type { Tensor } from "../tensor/tensor.ts";
import { augment, type AugmentTarget, type PlacedSample } from "./augment.ts";
import { drawParameters, plainParameters, type SampleParameters, viewRandom } from "./augmentation.ts";
import type { FetchedImages, GpuImages, ImagePlace } from "./gpu_images.ts";
import type { EvaluationBatch, ViewMaker, ViewSettings } from "./view_maker.ts";

function sameIndices(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((index, at) => index === b[at]);
}

/** Every index once, ascending: an image that several views show is loaded and uploaded once. */
function union(lists: readonly Uint32Array[]): Uint32Array {
  return Uint32Array.from(new Set(lists.flatMap((list) => Array.from(list)))).sort();
}

/** {@linkcode ViewMaker} for an `ImageSource`. */
export class AugmentedViews implements ViewMaker {
  readonly #images: GpuImages;
  readonly #settings: ViewSettings;
  readonly #target: AugmentTarget;
  readonly #pool: Uint32Array;
  #ahead: { wanted: Uint32Array; fetched: Promise<FetchedImages> } | undefined;

  /** @param images the source's images; closed with the maker */
  constructor(images: GpuImages, settings: ViewSettings) {
    this.#images = images;
    this.#settings = settings;
    const { imageSize, mean, std } = settings;
    this.#target = { height: imageSize, width: imageSize, mean, std };
    this.#pool = settings.pool ?? Uint32Array.from({ length: images.source.length }, (_, index) => index);
  }

  get height(): number {
    return this.#settings.imageSize;
  }

  get width(): number {
    return this.#settings.imageSize;
  }

  prefetch(indices: Uint32Array): void {
    const wanted = union([indices]);
    const fetched = this.#fetch(wanted);
    fetched.catch(() => {}); // raised where it is awaited, in views
    this.#ahead = { wanted, fetched };
  }

  async ready(): Promise<void> {
    await this.#ahead?.fetched.catch(() => {});
  }

  async views(step: number, lists: readonly Uint32Array[]): Promise<Tensor[]> {
    const { augmentation, seed } = this.#settings;
    const wanted = union(lists);
    // Other images than those fetched ahead are an evaluation's, between two steps: the next step still wants its own.
    const ahead = this.#ahead && sameIndices(this.#ahead.wanted, wanted) ? this.#ahead : undefined;
    if (ahead) this.#ahead = undefined;
    const fetched = await (ahead?.fetched ?? this.#fetch(wanted));
    return this.#make(wanted, fetched, lists, (place, index, view) => {
      if (augmentation === "none") return plainParameters(place);
      return drawParameters(augmentation, viewRandom(seed, step, index, view), place);
    });
  }

  async evaluationBatch(indices: Uint32Array): Promise<EvaluationBatch> {
    const wanted = union([indices]);
    const fetched = await this.#images.fetchForEvaluation(wanted, wanted, this.#settings);
    const [images] = this.#make(wanted, fetched, [indices], plainParameters);
    const used = new Map(Array.from(wanted, (index, slot) => [index, fetched.indices[slot]]));
    return { images, indices: indices.map((index) => used.get(index)!) };
  }

  release(): void {
    this.#images.release();
  }

  #fetch(wanted: Uint32Array): Promise<FetchedImages> {
    if (this.#settings.augmentation !== "none") return this.#images.fetch(wanted, this.#pool);
    return this.#images.fetchForEvaluation(wanted, this.#pool, this.#settings);
  }

  #make(
    wanted: Uint32Array,
    fetched: FetchedImages,
    lists: readonly Uint32Array[],
    draw: (place: ImagePlace, index: number, view: number) => SampleParameters,
  ): Tensor[] {
    const placed = this.#images.place(fetched);
    const slots = new Map(Array.from(wanted, (index, slot) => [index, slot]));
    const samples = lists.map((list, view) =>
      Array.from(list, (index): PlacedSample => {
        const slot = slots.get(index)!;
        const place = placed.places[slot];
        return { ...place, parameters: draw(place, fetched.indices[slot], view) };
      })
    );
    const tensors = augment(this.#images.gpu, placed.pixels, samples, this.#target);
    placed.release();
    return tensors;
  }
}
