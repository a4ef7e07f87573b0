/** Everything that training changes: what a checkpoint holds. */
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import { turn } from "../interrupt.ts";
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
  /** Both encoders' running statistics, and as they were before the present step. */
  readonly #statistics: readonly { now: Arena; before: Arena }[];
  #atStep = { queuePointer: 0, step: 0 };

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
    this.#statistics = [this.queryEncoder, this.momentumEncoder].map(({ statistics: { arena } }) => ({
      now: arena,
      before: new Arena(gpu, arena.layout),
    }));
  }

  /** New weights in both encoders, a queue of random directions, no momentum. */
  async initialise(): Promise<void> {
    const { training: { seed }, initialisation } = this.config;
    await this.queryEncoder.initialise(seed, initialisation);
    this.momentumEncoder.copyFrom(this.queryEncoder);
    this.momentum.clear();
    this.queue.write(await randomDirections(this.queue.shape[0], this.queue.shape[1], seed));
    this.queuePointer = 0;
    this.step = 0;
    this.losses.clear();
  }

  /** Records copies of what a step changes before its optimiser does, so that a step that was dropped can be undone. */
  beginStep(): void {
    const { queuePointer, step } = this;
    this.#atStep = { queuePointer, step };
    this.#statistics.forEach(({ now, before }) => before.copyFrom(now));
  }

  /** Puts the state back to the last {@linkcode beginStep}; nothing of the step's commands may be waiting. */
  undoStep(): void {
    Object.assign(this, this.#atStep);
    this.#statistics.forEach(({ now, before }) => now.copyFrom(before));
  }

  /** Gives the memory back. */
  release(): void {
    for (const { before } of this.#statistics) before.release();
    this.queryEncoder.release();
    this.momentumEncoder.release();
    this.momentum.release();
    this.queue.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

async function randomDirections(
  rows: number,
  dimension: number,
  seed: number,
): Promise<Float32Array<ArrayBuffer>> {
  const values = new Float32Array(rows * dimension);
  for (let row = 0; row < rows; row++) {
    const random = new Random(seed, purpose.queue, row);
    const direction = Array.from({ length: dimension }, () => random.normal());
    const length = Math.hypot(...direction);
    values.set(direction.map((value) => value / length), row * dimension);
    if (row % 1024 === 1023) await turn();
  }
  return values;
}
