/** What is measured while tuning: whole training steps of a configuration, on random images. */
import { needsTargets, targetDimension } from "../config/objective.ts";
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import { turn } from "../interrupt.ts";
import { PretrainState } from "../pretrain/state.ts";
import { recordStep } from "../train/step.ts";
import { purpose, Random } from "../random.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Shape } from "../shape.ts";

/** Values drawn between two turns of the event loop. */
const valuesPerTurn = 2 ** 20;

async function randomTensor(gpu: Gpu, shape: Shape, seed: number, number: number): Promise<Tensor> {
  const random = new Random(seed, purpose.tuning, number);
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  for (let at = 0; at < values.length; at++) {
    values[at] = random.uniform(-1, 1);
    if ((at + 1) % valuesPerTurn === 0) await turn();
  }
  return Tensor.from(gpu, values, shape);
}

/** A network with its optimiser and one batch. Its weights never change. */
export class TrainingStep {
  private constructor(
    readonly gpu: Gpu,
    readonly config: Config,
    readonly state: PretrainState,
    readonly images: readonly Tensor[],
    readonly losses: Tensor,
    readonly targets: Tensor | undefined,
  ) {}

  /** Allocates and draws everything. */
  static async open(gpu: Gpu, config: Config): Promise<TrainingStep> {
    const { training: { batch, seed }, data: { imageSize }, sandwich } = config;
    const state = new PretrainState(gpu, config);
    await state.initialise();
    const images = [];
    for (const view of [1, 2]) {
      images.push(await randomTensor(gpu, [batch, 3, imageSize, imageSize], seed, view));
    }
    const targets = needsTargets(config)
      ? await randomTensor(gpu, [batch, targetDimension(config)], seed, 3)
      : undefined;
    return new TrainingStep(gpu, config, state, images, Tensor.zeros(gpu, [2 + sandwich.random]), targets);
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
    const passes = this.state.space.sandwich(
      new Random(config.training.seed, purpose.architecture, round),
      config.sandwich,
    );
    await recordStep(this.state, {
      views: this.images.map((images) => ({ images })),
      architectures: passes.map(({ architecture }) => architecture),
      learningRate: 0,
      losses: this.losses,
      targets: this.targets,
    });
    await gpu.finish();
    return (performance.now() - start) / 1000;
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    this.state.release();
    for (const tensor of [...this.images, this.losses, this.targets]) tensor?.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
