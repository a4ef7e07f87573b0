/** What losses of a single network share: all they keep beside its weights is its running statistics. */
import type { Gpu } from "../gpu/device.ts";
import { Arena } from "../nn/arena.ts";
import type { GivenValues } from "../nn/encoder.ts";
import type { Statistics, Weights } from "../nn/weights.ts";
import type { NamedSource, Objective, ObjectiveInput, ViewOrder } from "./objective.ts";

/** A network on the device. */
export interface TrainedNetwork {
  readonly weights: Weights;
  readonly statistics: Statistics;
  release(): void;
}

/** A loss of a network on one view of each image, in the batch's order. Releases the network with itself. */
export abstract class NetworkObjective<Network extends TrainedNetwork> implements Objective {
  readonly counters = {};
  readonly gpu: Gpu;
  /** The present step, which decides about all that is drawn. */
  protected step = 0;
  /** Running statistics as they were before the present step. */
  readonly #before: Arena;

  /** @param prefix of the tensors' names in a checkpoint, with its dot */
  constructor(readonly encoder: Network, readonly prefix: string) {
    this.gpu = encoder.weights.gpu;
    this.#before = new Arena(this.gpu, encoder.statistics.arena.layout);
  }

  get sources(): readonly NamedSource[] {
    const { prefix, encoder: { weights, statistics } } = this;
    return [[prefix, weights.values], [prefix, statistics.arena]];
  }

  abstract initialise(given?: GivenValues): Promise<void>;

  viewOrders(batch: Uint32Array, step: number): readonly ViewOrder[] {
    this.step = step;
    return [{ batch }];
  }

  beginStep(): void {
    this.#before.copyFrom(this.encoder.statistics.arena);
  }

  undoStep(): void {
    this.encoder.statistics.arena.copyFrom(this.#before);
  }

  abstract record(input: ObjectiveInput): Promise<void>;

  afterUpdate(): void {}

  release(): void {
    this.#before.release();
    this.encoder.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
