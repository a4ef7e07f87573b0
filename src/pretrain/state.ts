/** Everything that training changes: what a checkpoint holds. */
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import { Arena } from "../nn/arena.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import { Encoder } from "../nn/encoder.ts";
import type { Network } from "../nn/network.ts";
import { purpose, Random } from "../random.ts";
import type { ChoiceSpace } from "../elastic/choice_space.ts";
import { Tensor } from "../tensor/tensor.ts";
import { LossSums } from "./loss_sums.ts";

/** MoCo's two encoders, the queue of keys and the optimiser's momentum, on the device. */
export class PretrainState {
  /** The architectures of the network. */
  readonly space: ChoiceSpace;
  /** The network that is trained. */
  readonly queryEncoder: Encoder;
  /** Its moving average, which makes the keys. */
  readonly momentumEncoder: Encoder;
  /** Momentum of SGD, in the layout of the query encoder's weights. */
  readonly momentum: Arena;
  /** [queue, dimension], rows of length one. */
  readonly queue: Tensor;
  /** Row of the queue that the next key goes to. */
  queuePointer = 0;
  /** Steps done. */
  step = 0;
  /** Losses since the last metrics line. */
  readonly losses = new LossSums();

  /**
   * Allocates; {@linkcode initialise} or a checkpoint gives it values.
   *
   * @param network what is trained; the configuration's own unless another is given
   */
  constructor(readonly gpu: Gpu, readonly config: Config, network: Network = configuredNetwork(config)) {
    this.space = network.space;
    this.queryEncoder = new Encoder(gpu, network, config.head, true);
    this.momentumEncoder = new Encoder(gpu, network, config.head, false);
    this.momentum = new Arena(gpu, this.queryEncoder.weights.values.layout);
    this.queue = Tensor.create(gpu, [config.moco.queue, config.head.dimension]);
  }

  /** New weights in both encoders, a queue of random directions, no momentum. */
  initialise(): void {
    const { training: { seed }, initialisation } = this.config;
    this.queryEncoder.initialise(seed, initialisation);
    this.momentumEncoder.copyFrom(this.queryEncoder);
    this.momentum.clear();
    this.queue.write(randomDirections(this.queue.shape[0], this.queue.shape[1], seed));
    this.queuePointer = 0;
    this.step = 0;
    this.losses.clear();
  }

  /** Gives the memory back. */
  release(): void {
    this.queryEncoder.release();
    this.momentumEncoder.release();
    this.momentum.release();
    this.queue.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function randomDirections(rows: number, dimension: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(rows * dimension);
  for (let row = 0; row < rows; row++) {
    const random = new Random(seed, purpose.queue, row);
    const direction = Array.from({ length: dimension }, () => random.normal());
    const length = Math.hypot(...direction);
    values.set(direction.map((value) => value / length), row * dimension);
  }
  return values;
}
