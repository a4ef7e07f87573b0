/** Processes that train one network together: each sees a part of every batch, and all hold the same state after each step. */
import { ConfigurationError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { averageAll, type Communicator, gatherAll } from "./communicator.ts";

/** The ranks of a run, as its training sees them. */
export class Peers {
  /** @param stop aborted when this rank is asked to end; all end then, after the same step */
  constructor(readonly communicator: Communicator, readonly stop?: AbortSignal) {}

  /** Of this process, from 0. */
  get rank(): number {
    return this.communicator.rank;
  }

  /** How many there are. */
  get size(): number {
    return this.communicator.size;
  }

  /** This rank's part of something that belongs to a whole batch. @throws {ConfigurationError} for parts of other lengths */
  partOf(batch: Uint32Array): Uint32Array {
    const { rank, size } = this;
    if (batch.length % size !== 0) {
      throw new ConfigurationError(
        `training.batch is ${batch.length}, which ${size} ranks cannot share evenly. Give a multiple of ${size}.`,
      );
    }
    const part = batch.length / size;
    return batch.subarray(rank * part, (rank + 1) * part);
  }

  /**
   * Puts the mean over all ranks into tensors, in the order of ranks. Waits for the device.
   *
   * @returns whether a rank was asked to end
   */
  async average(gpu: Gpu, tensors: readonly Tensor[]): Promise<boolean> {
    const contents = (await gpu.read(...tensors)).map((one) => new Float32Array(one));
    const length = contents.reduce((sum, one) => sum + one.length, 0);
    const values = new Float32Array(length + 1);
    let at = 0;
    for (const one of contents) {
      values.set(one, at);
      at += one.length;
    }
    values[length] = this.stop?.aborted ? 1 : 0;
    await averageAll(this.communicator, values);
    at = 0;
    tensors.forEach((tensor, index) => {
      tensor.write(values.subarray(at, at += contents[index].length));
    });
    return values[length] > 0;
  }

  /** The rows of all ranks, one rank after the other, [size * N, D]; the caller releases them. Waits for the device. */
  async gatherRows(gpu: Gpu, rows: Tensor): Promise<Tensor> {
    const [count, dimension] = rows.shape;
    const all = await gatherAll(this.communicator, new Float32Array((await gpu.read(rows))[0]));
    return Tensor.from(gpu, all, [this.size * count, dimension]);
  }
}
