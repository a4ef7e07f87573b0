/** Views of ready-made network inputs: every view is the image as it is. */
import type { Gpu } from "../gpu/device.ts";
import { gatherRows } from "../tensor/ops/gather_rows.ts";
import { Tape } from "../tensor/tape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { defaultResidentBytes } from "./gpu_images.ts";
import type { TensorSource } from "./image_set.ts";
import type { EvaluationBatch, ViewMaker } from "./view_maker.ts";

/** {@linkcode ViewMaker} for a `TensorSource`. */
export class TensorViews implements ViewMaker {
  readonly #gpu: Gpu;
  readonly #source: TensorSource;
  /** The whole set, when it is on the device. */
  readonly #whole: Tensor | undefined;

  /** @param residentBytes most bytes of device memory for the whole set; 0 always uploads the batches */
  constructor(gpu: Gpu, source: TensorSource, residentBytes = defaultResidentBytes(gpu)) {
    this.#gpu = gpu;
    this.#source = source;
    if (source.images.byteLength <= Math.min(residentBytes, gpu.pool.limit)) {
      const images = source.images as Float32Array<ArrayBuffer>;
      this.#whole = Tensor.from(gpu, images, this.#shape(source.length));
    }
  }

  get height(): number {
    return this.#source.height;
  }

  get width(): number {
    return this.#source.width;
  }

  get #columns(): number {
    return 3 * this.height * this.width;
  }

  /** Nothing is to be decoded. */
  prefetch(_indices: Uint32Array): void {}

  ready(): Promise<void> {
    return Promise.resolve();
  }

  views(_step: number, lists: readonly Uint32Array[]): Promise<Tensor[]> {
    if (this.#whole) return Promise.resolve(this.#gather(this.#whole, lists));
    return Promise.resolve(lists.map((list) => this.#upload(list)));
  }

  async evaluationBatch(indices: Uint32Array): Promise<EvaluationBatch> {
    const [images] = await this.views(0, [indices]);
    return { images, indices };
  }

  release(): void {
    this.#whole?.release();
  }

  #shape(images: number): [number, number, number, number] {
    return [images, 3, this.height, this.width];
  }

  #upload(list: Uint32Array): Tensor {
    const columns = this.#columns;
    const values = new Float32Array(list.length * columns);
    list.forEach((index, row) =>
      values.set(this.#source.images.subarray(index * columns, (index + 1) * columns), row * columns)
    );
    return Tensor.from(this.#gpu, values, this.#shape(list.length));
  }

  #gather(whole: Tensor, lists: readonly Uint32Array[]): Tensor[] {
    const tape = new Tape(this.#gpu, false);
    const tables = lists.map((list) => Tensor.from(this.#gpu, new Uint32Array(list)));
    return tables.map((table) => {
      const images = tape.keep(gatherRows(tape, whole, table));
      table.release();
      return images;
    });
  }
}
