/** Everything that training changes: what a checkpoint holds. */
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { Network } from "../nn/network.ts";
import type { ChoiceSpace } from "../elastic/choice_space.ts";
import type { EncoderObjective, NamedSource } from "../train/objective.ts";
import { type Optimizer, Sgd } from "../train/optimizer.ts";
import type { InitialWeights } from "./init/initial_weights.ts";
import { LossSums } from "../train/loss_sums.ts";
import { configuredObjective } from "./objective.ts";
import type { TrainingState } from "../train/trainer.ts";
import type { StreamOrders } from "./stream_orders.ts";

/** An objective, an optimiser, and how far they are, on the device. */
export class PretrainState implements TrainingState {
  /** The architectures of the network. */
  readonly space: ChoiceSpace;
  readonly objective: EncoderObjective;
  readonly optimizer: Optimizer;
  /** Steps done. */
  step = 0;
  /** How the channels of the weights that the run began with were sorted; empty for new ones. */
  streamOrders: StreamOrders = [];
  /** Losses since the last metrics line. */
  readonly losses: LossSums = new LossSums();
  #stepBefore = 0;

  /**
   * Allocates; {@linkcode initialise} or a checkpoint gives it values.
   *
   * @param network what is trained; the configuration's own unless another is given
   */
  constructor(readonly gpu: Gpu, readonly config: Config, network: Network = configuredNetwork(config)) {
    this.space = network.space;
    this.objective = configuredObjective(gpu, network, config);
    this.optimizer = new Sgd(gpu, this.encoder.weights, "encoder_q", config.optimizer);
  }

  /** The network that is trained. */
  get encoder(): Encoder {
    return this.objective.encoder;
  }

  /** Its moving average, where the objective keeps one. */
  get momentumEncoder(): Encoder | undefined {
    return this.objective.momentumEncoder;
  }

  /** Everything on the device that a checkpoint holds. */
  get sources(): readonly NamedSource[] {
    return [...this.objective.sources, ...this.optimizer.sources];
  }

  /** What a run begins with: new weights or those that exist, no momentum. */
  async initialise(initial?: InitialWeights): Promise<void> {
    await this.objective.initialise(initial?.values);
    this.streamOrders = initial?.streamOrders ?? [];
    this.optimizer.clear();
    this.step = 0;
    this.losses.clear();
  }

  /** Records copies of what a step changes before its optimiser does, so that a step that was dropped can be undone. */
  beginStep(): void {
    this.#stepBefore = this.step;
    this.objective.beginStep();
  }

  /** Puts the state back to the last {@linkcode beginStep}; nothing of the step's commands may be waiting. */
  undoStep(): void {
    this.step = this.#stepBefore;
    this.objective.undoStep();
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    this.optimizer.release();
    this.objective.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
