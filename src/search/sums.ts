/** The sums from which scores are computed: collected on the device in a small table, kept on the host. */
import type { Gpu } from "../gpu/device.ts";
import type { ImageRange, ImageSums } from "./image_sums.ts";
import type { SimilarityMetric } from "./similarity/metric.ts";
import { ScoreTable, slotValues, type TableFormat } from "./similarity/score_table.ts";

/** Slots of the table on the device: 4 MiB, however many scores there are. */
const tableSlots = 16384;

/** Numbers of images that the table on the device has, 16 MiB, unless a single slot has more. */
const tableImageValues = 2 ** 22;

/**
 * Slots of the table on the device.
 *
 * @param images images of a round whose numbers are kept beside the sums; 0 for none
 */
function windowSlots(slots: number, images: number, { imageComponents }: TableFormat): number {
  const values = images * imageComponents;
  return Math.min(
    slots,
    tableSlots,
    values === 0 ? Infinity : Math.max(1, Math.floor(tableImageValues / values)),
  );
}

/** Bytes of the table on the device for so many slots, at most; `images` as many as a round may have. */
export function tableBytes(slots: number, images: number, format: TableFormat): number {
  const most = Math.min(slots, tableSlots);
  const perSlot = images * format.imageComponents;
  return 4 * slotValues * most + 4 * Math.min(most * perSlot, Math.max(perSlot, tableImageValues));
}

/** What was collected of a search's scores. */
export interface CollectedSums {
  /** [slots, components]. */
  readonly sums: Float64Array<ArrayBuffer>;
  /** [slots, blocks, imageComponents], see {@linkcode ImageSums}. */
  readonly imageSums: Float32Array<ArrayBuffer>;
}

/** The score of a slot from [slots, components]; NaN for features that were not finite. */
export function slotScore(format: TableFormat, sums: Float64Array, slot: number): number {
  const { components } = format;
  return format.score([...sums.subarray(slot * components, (slot + 1) * components)]);
}

/** Sums of all scores, of which a window is on the device at a time. */
export class ScoreSums {
  readonly table: ScoreTable;
  #first = 0;
  #count = 0;
  /** Of `#count`, what the device has certainly finished. */
  #settled = 0;
  #images: ImageRange = { first: 0, count: 0 };

  /**
   * @param values [slots, components], what was collected before; added to
   * @param images what was collected of the images before; added to
   * @param roundImages the most images of a call of {@linkcode restart}
   * @param window slots on the device at a time, at most
   */
  constructor(
    gpu: Gpu,
    readonly metric: SimilarityMetric,
    readonly values: Float64Array<ArrayBuffer>,
    readonly images: ImageSums,
    roundImages: number,
    window: number = tableSlots,
  ) {
    const slots = values.length / metric.components;
    const kept = images.blocks === 0 ? 0 : roundImages;
    const count = Math.min(windowSlots(slots, kept, metric), window, ScoreTable.limit(gpu));
    this.table = new ScoreTable(gpu, metric, count, kept);
  }

  /** The next slot, of those taken in ascending order, that nothing was accumulated for. */
  get next(): number {
    return this.#first + this.#count;
  }

  /** What was collected so far. */
  get collected(): CollectedSums {
    return { sums: this.values, imageSums: this.images.values };
  }

  /**
   * Starts to take slots from this one on.
   *
   * @param images that they are compared on
   */
  restart(slot: number, images: ImageRange): void {
    this.#first = slot;
    this.#images = images;
    this.#count = this.#settled = 0;
  }

  /** The device has finished all that was recorded. */
  settle(): void {
    this.#settled = this.#count;
  }

  /** Forgets the slots taken since {@linkcode settle}: their commands were dropped. */
  revert(): void {
    this.#count = this.#settled;
  }

  /** The place in the table of the next slot. Empties the table when it is full. */
  async take(): Promise<number> {
    if (this.#count === this.table.slots) await this.collect();
    return this.#count++;
  }

  /** Brings what the device has collected to the host. */
  async collect(): Promise<void> {
    if (this.#count === 0) return;
    const { sums, images } = await this.table.read(this.#count);
    const offset = this.#first * this.metric.components;
    sums.forEach((sum, index) => this.values[offset + index] += sum);
    if (images.length > 0) this.images.add(images, this.table.images, this.#first, this.#images);
    this.restart(this.next, this.#images);
    this.table.clear();
  }

  /** Releases the device memory. */
  release(): void {
    this.table.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
