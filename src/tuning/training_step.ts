/** What is measured while tuning: whole training steps of a configuration, on random images. */
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import { PretrainState } from "../pretrain/state.ts";
import { recordStep } from "../pretrain/step.ts";
import { purpose, Random } from "../random.ts";
import { type Shape, Tensor } from "../tensor/tensor.ts";

function randomImages(gpu: Gpu, shape: Shape, seed: number, view: number): Tensor {
  const random = new Random(seed, purpose.tuning, view);
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  for (let at = 0; at < values.length; at++) values[at] = random.uniform(-1, 1);
  return Tensor.from(gpu, values, shape);
}

/** A network with its optimiser and one batch. Its weights never change. */
export class TrainingStep {
  readonly #state: PretrainState;
  readonly #images: readonly Tensor[];
  readonly #losses: Tensor;

  constructor(readonly gpu: Gpu, readonly config: Config) {
    const { training: { batch, seed }, data: { imageSize }, sandwich } = config;
    this.#state = new PretrainState(gpu, config);
    this.#state.initialise();
    this.#images = [1, 2].map((view) => randomImages(gpu, [batch, 3, imageSize, imageSize], seed, view));
    this.#losses = Tensor.zeros(gpu, [2 + sandwich.random]);
  }

  /**
   * Runs one step to its end.
   *
   * @param round steps of one round have the same architectures
   * @returns its seconds
   */
  async run(round: number): Promise<number> {
    const { gpu, config } = this;
    const start = performance.now();
    const passes = this.#state.space.sandwich(
      new Random(config.training.seed, purpose.architecture, round),
      config.sandwich,
    );
    recordStep(this.#state, {
      queryImages: this.#images[0],
      keyImages: this.#images[1],
      architectures: passes.map(({ architecture }) => architecture),
      learningRate: 0,
      losses: this.#losses,
    });
    await gpu.finish();
    return (performance.now() - start) / 1000;
  }

  /** Gives the memory back. */
  release(): void {
    this.#state.release();
    for (const tensor of [...this.#images, this.#losses]) tensor.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
