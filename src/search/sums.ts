/** The sums from which scores are computed: collected on the device in a small table, kept on the host. */
import type { Gpu } from "../gpu/device.ts";
import type { SimilarityMetric } from "./similarity/metric.ts";
import { ScoreTable, slotValues } from "./similarity/score_table.ts";

/** Slots of the table on the device: 4 MiB, however many scores there are. */
const tableSlots = 16384;

/** Bytes of the table on the device for so many slots, at most. */
export function tableBytes(slots: number): number {
  return 4 * slotValues * Math.min(slots, tableSlots);
}

/** Sums of all scores, of which a window is on the device at a time. */
export class ScoreSums {
  readonly table: ScoreTable;
  #first = 0;
  #count = 0;
  /** Of `#count`, what the device has certainly finished. */
  #settled = 0;

  /**
   * @param values [slots, components], what was collected before; added to
   * @param window slots on the device at a time
   */
  constructor(
    gpu: Gpu,
    readonly metric: SimilarityMetric,
    readonly values: Float64Array<ArrayBuffer>,
    window: number = tableSlots,
  ) {
    const slots = values.length / metric.components;
    this.table = new ScoreTable(gpu, metric, Math.min(slots, window, ScoreTable.limit(gpu)));
  }

  /** The next slot, of those taken in ascending order, that nothing was accumulated for. */
  get next(): number {
    return this.#first + this.#count;
  }

  /** Starts to take slots from this one on. */
  restart(slot: number): void {
    this.#first = slot;
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
    const sums = await this.table.sums(this.#count);
    const offset = this.#first * this.metric.components;
    sums.forEach((sum, index) => this.values[offset + index] += sum);
    this.restart(this.next);
    this.table.clear();
  }

  /** The score of a slot; NaN for features that were not finite. */
  score(slot: number): number {
    const { components } = this.metric;
    return this.metric.score([...this.values.subarray(slot * components, (slot + 1) * components)]);
  }

  /** Releases the device memory. */
  release(): void {
    this.table.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
