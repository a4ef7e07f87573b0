/** A trained encoder and its moving average, by which a search judges subnets: what several objectives are built on. */
import type { Gpu } from "../gpu/device.ts";
import { Arena } from "../nn/arena.ts";
import { Encoder, type HeadDefinition } from "../nn/encoder.ts";
import type { Network } from "../nn/network.ts";
import { emaStep } from "../tensor/ops/update.ts";
import type { NamedSource } from "./objective.ts";

/** Two encoders of one network, and their running statistics as they were before the present step. */
export class MomentumPair {
  /** The network that is trained. */
  readonly encoder: Encoder;
  /** Its moving average. */
  readonly average: Encoder;
  readonly #statistics: readonly { now: Arena; before: Arena }[];

  /** @param heads see {@linkcode Encoder} */
  constructor(readonly gpu: Gpu, network: Network, heads: readonly HeadDefinition[]) {
    this.encoder = new Encoder(gpu, network, heads[0], true, heads.slice(1));
    this.average = new Encoder(gpu, network, heads[0], false, heads.slice(1));
    this.#statistics = [this.encoder, this.average].map(({ statistics: { arena } }) => ({
      now: arena,
      before: new Arena(gpu, arena.layout),
    }));
  }

  /** All that a checkpoint holds of both. */
  get sources(): readonly NamedSource[] {
    return [
      ["encoder_q.", this.encoder.weights.values],
      ["encoder_q.", this.encoder.statistics.arena],
      ["encoder_k.", this.average.weights.values],
      ["encoder_k.", this.average.statistics.arena],
    ];
  }

  /** Keeps the running statistics, which a step moves. */
  beginStep(): void {
    this.#statistics.forEach(({ now, before }) => before.copyFrom(now));
  }

  /** Puts them back. */
  undoStep(): void {
    this.#statistics.forEach(({ now, before }) => now.copyFrom(before));
  }

  /** Records a step of the weights' moving average. */
  averageWeights(momentum: number): void {
    this.#average(this.encoder.weights.values, this.average.weights.values, momentum);
  }

  /** Records a step of the running statistics' moving average, for an average that no images pass through. */
  averageStatistics(momentum: number): void {
    this.#average(this.encoder.statistics.arena, this.average.statistics.arena, momentum);
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    for (const { before } of this.#statistics) before.release();
    this.encoder.release();
    this.average.release();
  }

  #average(from: Arena, to: Arena, momentum: number): void {
    from.chunks.forEach((value, chunk) => emaStep(this.gpu, value, to.chunks[chunk], momentum));
  }
}
