/** Running a network layer by layer, with batchnorm statistics that belong to the candidate alone. */
import type { Encoder } from "../nn/encoder.ts";
import { type NetworkUnit, type Pass, runUnit } from "../nn/layers.ts";
import { Statistics } from "../nn/weights.ts";
import { globalAveragePool } from "../tensor/ops/pool.ts";
import { Tape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Place } from "./places.ts";

/** How batchnorm normalises: with the statistics of the image batch, or with those averaged over all batches. */
export const batchnormModes = ["batch", "recalibrated"] as const;
/** One of {@linkcode batchnormModes}. */
export type BatchnormMode = typeof batchnormModes[number];

/** What has been computed so far, for each image batch. */
export interface State {
  /** Normalised with each batch's own statistics. */
  readonly training: readonly Tensor[];
  /** What is compared; the same tensors unless statistics are recalibrated. */
  readonly compared: readonly Tensor[];
}

/**
 * Runs an encoder on image batches, one layer at a time.
 *
 * Recalibrated statistics are those of `recalibrate` (src/evaluate): each batch runs in training mode, and a layer's mean
 * and variance are averaged over the batches. A layer's statistics depend on what is before it and on nothing behind it,
 * so they are known as soon as all batches have passed it, and a second pass of all batches in evaluation mode follows at
 * once. That shares prefixes just as well, at twice the work and with the maps of all batches in memory.
 *
 * The encoder's own statistics are neither read nor changed.
 */
export class NetworkRunner {
  readonly #tape: Tape;
  readonly #statistics: Statistics;
  readonly #shares: readonly number[];
  readonly #recalibrated: boolean;

  /** @param images [N, 3, H, W] each, normalised; several only to recalibrate. The caller keeps them. */
  constructor(readonly encoder: Encoder, readonly images: readonly Tensor[], mode: BatchnormMode) {
    const { gpu } = encoder.weights;
    this.#tape = new Tape(gpu, false);
    this.#statistics = new Statistics(gpu, encoder.shapes);
    this.#recalibrated = mode === "recalibrated";
    let seen = 0;
    this.#shares = images.map(({ shape }) => shape[0] / (seen += shape[0]));
  }

  /** The images, which the caller keeps. */
  start(): State {
    return { training: this.images, compared: this.images };
  }

  /**
   * Runs a unit behind a state.
   *
   * The first batch's share is 1, so nothing is left of the statistics of another candidate.
   */
  run(state: State, unit: NetworkUnit): State {
    const training = state.training.map((input, batch) =>
      runUnit(this.#pass(true, this.#shares[batch]), unit, input)
    );
    if (!this.#recalibrated) return { training, compared: training };
    return { training, compared: state.compared.map((input) => runUnit(this.#pass(false, 0), unit, input)) };
  }

  /** Hands a batch's features at a place over, and takes them back afterwards; `map` is the output of its tap. */
  withFeatures(map: Tensor, { kind }: Place, use: (features: Tensor) => void): void {
    const tape = this.#tape;
    tape.scope(() => {
      if (kind === "map") use(map);
      else {
        const pooled = globalAveragePool(tape, map);
        use(kind === "pooled" ? pooled : this.encoder.project(this.#pass(false, 0), pooled));
      }
      return [];
    });
  }

  /** Gives the memory of a state back; the images stay. */
  releaseState({ training, compared }: State): void {
    for (const tensor of new Set([...training, ...compared])) this.#tape.discard(tensor);
  }

  /** Gives all memory back. */
  release(): void {
    this.#tape.release();
    this.#statistics.release();
  }

  #pass(training: boolean, momentum: number): Pass {
    return this.encoder.pass({
      tape: this.#tape,
      training,
      batchnormGroups: 1,
      batchnormMomentum: momentum,
      statistics: this.#statistics,
    });
  }
}
