/**
 * 8-bit images in device memory, one u32 a pixel: a set that fits is uploaded whole and once, a larger one batch by batch.
 */
import { GpuError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Tensor } from "../tensor/tensor.ts";
import { loadBatch, standIn } from "./batch.ts";
import { evaluationImage, type EvaluationSize } from "./evaluation_image.ts";
import { packImages } from "./residency.ts";
import type { DecodedImage, ImageSource } from "./image_set.ts";

/** Where an image lies in a buffer of pixels. */
export interface ImagePlace {
  /** Its first pixel. */
  offset: number;
  width: number;
  height: number;
}

/** Images that are decoded, ready to be uploaded. */
export interface FetchedImages {
  /** Index in the source of each image that is really used; see {@linkcode loadBatch}. */
  readonly indices: Uint32Array;
  /** The images; absent when they are on the device already. */
  readonly images?: readonly DecodedImage[];
}

/** A batch in device memory. */
export interface PlacedImages {
  readonly pixels: Tensor;
  /** One for each image of the batch. */
  readonly places: readonly ImagePlace[];
  /** Gives uploaded pixels back; call it when everything that reads them is recorded. */
  release(): void;
}

const imagesPerRound = 256;
/** Uploads are copied into staging memory, which is only freed when the device has taken them over. */
const bytesPerWait = 2 ** 26;

/** The default of {@linkcode GpuImages.open}'s limit: what one binding can reach, at most 1 GiB. */
export function defaultResidentBytes(gpu: Gpu): number {
  return Math.min(2 ** 30, gpu.pool.limit);
}

function placesOf(table: Uint32Array, start: number): ImagePlace[] {
  return Array.from({ length: table.length / 4 }, (_, index) => {
    const [, offset, width, height] = table.subarray(4 * index, 4 * index + 4);
    return { offset: start + offset, width, height };
  });
}

/**
 * Loads a whole set, but for files that were found broken when it was opened, which have no place; undefined when it
 * passes the limit or holds another image that cannot be read.
 */
async function packSet(
  source: ImageSource,
  limitBytes: number,
  evaluated: EvaluationSize | undefined,
): Promise<{ chunks: Uint32Array<ArrayBuffer>[]; places: (ImagePlace | undefined)[] } | undefined> {
  const chunks: Uint32Array<ArrayBuffer>[] = [];
  const places = new Array<ImagePlace | undefined>(source.length);
  const whole = Array.from({ length: source.length }, (_, index) => index)
    .filter((index) => !source.broken?.has(index));
  let pixels = 0;
  for (let first = 0; first < whole.length; first += imagesPerRound) {
    const indices = whole.slice(first, first + imagesPerRound);
    const images = (await source.load(indices, evaluated ? "evaluation" : "training"))
      .filter((image) => image !== undefined)
      .map((image) => evaluated ? evaluationImage(image, evaluated) : image);
    const start = pixels;
    for (const { width, height } of images) pixels += width * height;
    if (images.length < indices.length || 4 * pixels > limitBytes) return undefined;
    const packed = packImages(images, limitBytes);
    chunks.push(...packed.chunks);
    placesOf(packed.table, start).forEach((place, at) => places[indices[at]] = place);
  }
  return { chunks, places };
}

/** The images of a source, wherever they are. */
export class GpuImages {
  private constructor(
    readonly gpu: Gpu,
    readonly source: ImageSource,
    readonly whole:
      | { readonly pixels: Tensor; readonly places: readonly (ImagePlace | undefined)[] }
      | undefined,
  ) {}

  /**
   * Uploads the source if it fits into one buffer and no more of its images break; else, and where it is in shards, its
   * batches will be streamed.
   *
   * @param limitBytes most bytes of device memory for a whole set; 0 always streams
   * @param evaluated given for a set that is only evaluated: it is kept as evaluation sees it
   */
  static async open(
    gpu: Gpu,
    source: ImageSource,
    limitBytes = defaultResidentBytes(gpu),
    evaluated?: EvaluationSize,
  ): Promise<GpuImages> {
    const packed = limitBytes === 0 || source.shards
      ? undefined
      : await packSet(source, Math.min(limitBytes, gpu.pool.limit), evaluated);
    if (!packed) return new GpuImages(gpu, source, undefined);
    const { chunks, places } = packed;
    const pixels = Tensor.create(gpu, [chunks.reduce((sum, chunk) => sum + chunk.length, 0)]);
    let start = 0;
    let waiting = 0;
    for (const chunk of chunks) {
      pixels.slice(start, [chunk.length]).write(chunk);
      start += chunk.length;
      waiting += chunk.byteLength;
      if (waiting < bytesPerWait) continue;
      gpu.device.queue.submit([]);
      await gpu.finish();
      waiting = 0;
    }
    return new GpuImages(gpu, source, { pixels, places });
  }

  /** Whether the whole set is on the device. */
  get resident(): boolean {
    return this.whole !== undefined;
  }

  /**
   * Gets images ready on the host; may run ahead while the device works.
   *
   * @param indices the images, each one of `pool`
   * @param pool images that may stand in for unreadable ones, ascending
   * @throws DataError as {@linkcode loadBatch} does
   */
  async fetch(indices: Uint32Array, pool: Uint32Array): Promise<FetchedImages> {
    if (!this.whole) return await loadBatch(this.source, indices, pool);
    const { places } = this.whole;
    return { indices: indices.map((index) => standIn(index, pool, (other) => places[other] !== undefined)) };
  }

  /**
   * As {@linkcode fetch}, but what evaluation sees of the images. A set on the device is used where its images are that.
   *
   * @param size of evaluation's images
   */
  async fetchForEvaluation(
    indices: Uint32Array,
    pool: Uint32Array,
    size: EvaluationSize,
  ): Promise<FetchedImages> {
    const { imageSize } = size;
    const places = this.whole?.places;
    const exact = (place: ImagePlace | undefined) => place?.width === imageSize && place.height === imageSize;
    if (places && indices.every((index) => exact(places[index]))) return { indices };
    const loaded = await loadBatch(this.source, indices, pool, "evaluation");
    return { ...loaded, images: loaded.images.map((image) => evaluationImage(image, size)) };
  }

  /**
   * Brings a batch onto the device, where it is not there already. Uploads: call it at the start of a step.
   *
   * @throws GpuError when the batch's images do not fit into one buffer
   */
  place({ indices, images }: FetchedImages): PlacedImages {
    if (!images) {
      if (!this.whole) {
        throw new GpuError("a batch of a set that is on the device was given to one that is not");
      }
      const { pixels, places } = this.whole;
      return { pixels, places: Array.from(indices, (index) => places[index]!), release: () => {} };
    }
    const { table, chunks } = packImages(images, this.gpu.pool.limit);
    if (chunks.length > 1) {
      throw new GpuError(
        `the ${images.length} images of a batch have more than the ${this.gpu.pool.limit} bytes that this adapter ` +
          `binds at once. Use a smaller batch or a smaller image size.`,
      );
    }
    const pixels = Tensor.from(this.gpu, chunks[0]);
    return { pixels, places: placesOf(table, 0), release: () => pixels.release() };
  }

  /** Gives the device memory back; the source stays open. */
  release(): void {
    this.whole?.pixels.release();
  }
}
