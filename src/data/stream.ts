/**
 * All images of a source once, batch after batch: the next batch is decoded while the device works on the present one,
 * and no more than these two are in memory. Broken images leave a gap in the indices and nothing else, other than in
 * training, where another image stands in.
 */
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { expectTensorSize } from "./tensor_file.ts";
import type { DecodedImage, ImageSource, TensorSource } from "./image_set.ts";
import { openViews } from "./views.ts";
import type { EvaluationBatch, ViewSettings } from "./view_maker.ts";

/** How images become network inputs, and how many at once. */
export interface StreamSettings extends Pick<ViewSettings, "imageSize" | "resize" | "mean" | "std"> {
  /** Most images of a batch. */
  readonly batch: number;
}

/**
 * Network inputs [N, 3, H, W] in the order of the source, without randomness, each batch with the indices of its
 * images. The reader releases the images, and closes the source.
 *
 * @throws {DataError} when an image is broken and the source is strict, when all are, or when ready-made inputs have
 * another size than `imageSize`
 */
export async function* streamImages(
  gpu: Gpu,
  source: ImageSource | TensorSource,
  settings: StreamSettings,
): AsyncGenerator<EvaluationBatch> {
  expectTensorSize(source, settings.imageSize, () => "Give images of that size.");
  const upcoming = new Upcoming(source);
  const views = await openViews(gpu, source.kind === "tensor" ? source : upcoming.asSource(source), {
    ...settings,
    augmentation: "none",
    seed: 0,
    residentBytes: 0,
  });
  try {
    let read = 0;
    upcoming.start(0, settings.batch);
    for (let first = 0; first < source.length; first += settings.batch) {
      const batch = await upcoming.take();
      upcoming.start(first + settings.batch, settings.batch);
      for (const indices of splitByBytes(batch, gpu.pool.limit)) {
        yield await views.evaluationBatch(indices);
        read += indices.length;
      }
    }
    if (read === 0) throw allBroken(source);
  } finally {
    views.release();
  }
}

/** Images of a batch that can be read; without `images` where the source keeps ready-made inputs. */
export interface Batch {
  readonly indices: Uint32Array;
  readonly images?: ReadonlyMap<number, DecodedImage>;
}

/** The batch that is being decoded, and the one that was taken last. */
class Upcoming {
  #next: Promise<Batch> = Promise.resolve({ indices: new Uint32Array() });
  #taken: Batch = { indices: new Uint32Array() };

  constructor(readonly source: ImageSource | TensorSource) {}

  start(first: number, count: number): void {
    const length = Math.max(0, Math.min(count, this.source.length - first));
    this.#next = this.#load(Array.from({ length }, (_, at) => first + at));
    this.#next.catch(() => {}); // raised where it is awaited, in take
  }

  async take(): Promise<Batch> {
    return this.#taken = await this.#next;
  }

  /** A source that has the images of the batch taken last, and no others. */
  asSource({ name, length, skipped }: ImageSource): ImageSource {
    return {
      kind: "images",
      name,
      length,
      skipped,
      load: (indices) => Promise.resolve(indices.map((index) => this.#taken.images?.get(index))),
      release: () => {},
    };
  }

  async #load(indices: number[]): Promise<Batch> {
    if (this.source.kind === "tensor") return { indices: Uint32Array.from(indices) };
    const loaded = await this.source.load(indices, "evaluation");
    const images = new Map<number, DecodedImage>();
    indices.forEach((index, at) => loaded[at] && images.set(index, loaded[at]));
    return { indices: Uint32Array.from(images.keys()), images };
  }
}

/** Cuts a batch where its pixels, four bytes each, would pass what the device binds at once. */
export function* splitByBytes({ indices, images }: Batch, limit: number): Generator<Uint32Array> {
  let first = 0;
  let bytes = 0;
  for (let at = 0; at < indices.length; at++) {
    const size = images?.get(indices[at])?.pixels.byteLength ?? 0;
    if (at > first && bytes + size > limit) {
      yield indices.subarray(first, at);
      first = at;
      bytes = 0;
    }
    bytes += size;
  }
  if (first < indices.length) yield indices.subarray(first);
}

function allBroken({ name, skipped }: ImageSource | TensorSource): DataError {
  const [{ path, reason }] = skipped;
  return new DataError(
    `none of the ${skipped.length} images of ${name} can be read; the first is "${path}": ${reason}`,
  );
}
