/** Times after a merge: of the run's own network, on this machine's device. */
import { elements } from "../shape.ts";
import { UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { imageShape } from "../elastic/network.ts";
import type { Encoder } from "../nn/encoder.ts";
import { openEncoder } from "../pretrain/encoder_file.ts";
import { purpose, Random } from "../random.ts";
import type { Latency } from "../search/latency.ts";
import { measureArchitectures } from "../search/measuring.ts";
import { Tensor } from "../tensor/tensor.ts";
import { openDevice } from "./device.ts";
import type { Logger } from "./logger.ts";
import { Progress } from "./progress.ts";
import type { StoredShard } from "./search_shard_file.ts";

/** A device with the searched network, ready to be measured. */
export class MergeTimes implements Disposable {
  private constructor(
    readonly gpu: Gpu,
    readonly student: Encoder,
    readonly shard: StoredShard,
    readonly logger: Logger,
    readonly signal: AbortSignal,
  ) {}

  /**
   * Opens the device.
   *
   * @param checkpoint path of the one that the shards searched
   * @throws {UsageError} on another device than theirs: the ranking names one
   */
  static async open(
    checkpoint: string,
    shard: StoredShard,
    { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
  ): Promise<MergeTimes> {
    const { device, outputStride } = shard.description;
    const gpu = await openDevice(logger);
    try {
      if (gpu.facts.description !== device) {
        throw new UsageError(
          `Times would be those of ${gpu.facts.description}, but the shards were searched on ${device}. Merge on such a ` +
            "machine, or leave times out.",
        );
      }
      const { encoder } = await openEncoder(gpu, checkpoint, "encoder_q", outputStride);
      return new MergeTimes(gpu, encoder, shard, logger, signal);
    } catch (error) {
      gpu.release();
      throw error;
    }
  }

  /** Times by architecture. */
  async measure(architectures: readonly string[]): Promise<ReadonlyMap<string, readonly Latency[]>> {
    const { gpu, student, logger, signal, shard: { description: { batch, images, imageSize } } } = this;
    let progress: Progress | undefined;
    let done = 0;
    // Images would have to be opened: noise takes as long.
    const load = (count: number) => {
      const shape = imageShape(student.network, imageSize, count);
      const random = new Random(0, purpose.timing, count);
      const values = Float32Array.from({ length: elements(shape) }, () => random.normal());
      return Promise.resolve(Tensor.from(gpu, values, shape));
    };
    const times = await measureArchitectures(architectures, {
      ...{ student, load, signal },
      batch: Math.min(batch, images),
      onMeasure: (total) => {
        progress = new Progress({ logger, label: "measure", total, unit: "measurements" });
      },
      onMeasured: () => progress?.update(++done),
    });
    progress?.finish();
    return times;
  }

  [Symbol.dispose](): void {
    this.gpu.release();
  }
}
