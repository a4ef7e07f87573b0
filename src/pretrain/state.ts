/** The state of a pretraining. */
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { Network } from "../nn/network.ts";
import type { ChoiceSpace } from "../elastic/choice_space.ts";
import type { KeyPeers } from "../train/moco/keys.ts";
import type { EncoderObjective } from "../train/objective.ts";
import { type Optimizer, Sgd } from "../train/optimizer.ts";
import { TrainingState } from "../train/state.ts";
import type { InitialWeights } from "./init/initial_weights.ts";
import { configuredObjective } from "./objective.ts";
import type { StreamOrders } from "./stream_orders.ts";

/** An elastic network, what it is trained for, and how far that is. */
export class PretrainState extends TrainingState<EncoderObjective, Optimizer> {
  /** The architectures of the network. */
  readonly space: ChoiceSpace;
  /** How the channels of the weights that the run began with were sorted; empty for new ones. */
  streamOrders: StreamOrders = [];

  /**
   * Allocates; {@linkcode initialise} or a checkpoint gives it values.
   *
   * @param network what is trained; the configuration's own unless another is given
   * @param peers processes that train with this one
   */
  constructor(
    readonly gpu: Gpu,
    readonly config: Config,
    network: Network = configuredNetwork(config),
    peers?: KeyPeers,
  ) {
    const objective = configuredObjective(gpu, network, config, peers);
    super(objective, new Sgd(gpu, objective.encoder.weights, "encoder_q", config.optimizer));
    this.space = network.space;
  }

  /** The network that is trained. */
  get encoder(): Encoder {
    return this.objective.encoder;
  }

  /** Its moving average, where the objective keeps one. */
  get momentumEncoder(): Encoder | undefined {
    return this.objective.momentumEncoder;
  }

  /** What a run begins with: new weights or those that exist, no momentum. */
  async initialise(initial?: InitialWeights): Promise<void> {
    await this.objective.initialise(initial?.values);
    this.streamOrders = initial?.streamOrders ?? [];
    this.restart();
  }
}
