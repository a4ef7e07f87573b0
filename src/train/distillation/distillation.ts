/**
 * Distillation into an elastic network: every architecture of a step learns the features of a teacher, from one view of
 * each image. A step:
 *
 *   1. the teacher's features of the batch: given, or made by the network that the run began with;
 *   2. for each architecture: pooled features from the view, through the head, 1 - cosine; gradients add up;
 *   3. the optimiser's update; 4. one step of the moving average of weights and running statistics.
 *
 * Up to the update, nothing changes but gradients and running statistics.
 */
import type { Gpu } from "../../gpu/device.ts";
import type { Encoder, GivenValues, Initialisation } from "../../nn/encoder.ts";
import type { Network } from "../../nn/network.ts";
import { scale } from "../../tensor/ops/elementwise.ts";
import { Tape } from "../../tensor/tape.ts";
import { MomentumPair } from "../momentum_pair.ts";
import type { EncoderObjective, NamedSource, ObjectiveInput, ViewOrder } from "../objective.ts";
import { type TeacherOptions, TeacherTerm } from "./teacher_term.ts";

/** What distillation is built with. */
export interface DistillationDefinition {
  readonly teacher: TeacherOptions;
  /** Default: as MoCo v2 has it. */
  readonly initialisation?: Initialisation;
  /** Of the moving average; default 0.999. */
  readonly momentum?: number;
  /** Groups of the batch with batchnorm statistics of their own; default 1. */
  readonly batchnormGroups?: number;
  /** Of weights; default 1. */
  readonly seed?: number;
}

/** Distillation alone: two encoders, no queue. */
export class Distillation implements EncoderObjective {
  readonly counters = {};
  readonly #term: TeacherTerm;
  readonly #pair: MomentumPair;

  /** Allocates; {@linkcode initialise} or a checkpoint gives it values. */
  constructor(readonly gpu: Gpu, network: Network, readonly definition: DistillationDefinition) {
    const { teacher, batchnormGroups = 1 } = definition;
    this.#term = new TeacherTerm(gpu, network, { batchnormGroups, ...teacher });
    this.#pair = new MomentumPair(gpu, network, [this.#term.head]);
  }

  /** The network that is trained. */
  get encoder(): Encoder {
    return this.#pair.encoder;
  }

  /** Its moving average, by which a search judges subnets. */
  get momentumEncoder(): Encoder {
    return this.#pair.average;
  }

  get sources(): readonly NamedSource[] {
    return [...this.#pair.sources, ...this.#term.sources];
  }

  /** New or given weights in both encoders. */
  async initialise(given?: GivenValues): Promise<void> {
    const { seed = 1, initialisation = { head: "kaiming", lastBatchnorm: 0 } } = this.definition;
    await this.encoder.initialise(seed, initialisation, given);
    this.momentumEncoder.copyFrom(this.encoder);
    this.#term.begin(this.encoder);
  }

  viewOrders(batch: Uint32Array): readonly ViewOrder[] {
    return [{ batch }];
  }

  beginStep(): void {
    this.#pair.beginStep();
  }

  undoStep(): void {
    this.#term.finish();
    this.#pair.undoStep();
  }

  async record(input: ObjectiveInput): Promise<void> {
    const { gpu, encoder, definition: { batchnormGroups = 1 } } = this;
    const { views: [{ images }], architectures, losses } = input;
    const term = this.#term;
    term.prepare(input);
    for (const [index, architecture] of architectures.entries()) {
      await gpu.stream.breathe();
      using tape = new Tape(gpu, true);
      const pass = encoder.pass({ tape, training: true, batchnormGroups });
      const { pooled } = encoder.features(pass, images, architecture);
      const loss = scale(tape, term.loss(encoder, pass, pooled), term.weight);
      gpu.stream.copy(loss, losses.slice(index, []));
      tape.backward(loss);
      await gpu.stream.breathe();
    }
    term.finish();
  }

  afterUpdate(): void {
    const { momentum = 0.999 } = this.definition;
    this.#pair.averageWeights(momentum);
    this.#pair.averageStatistics(momentum);
  }

  release(): void {
    this.#term.release();
    this.#pair.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
