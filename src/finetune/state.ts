/** A network with its classifier while both are fine-tuned. */
import type { Gpu } from "../gpu/device.ts";
import type { GivenValues } from "../nn/encoder.ts";
import type { PlainModel } from "../extract/model.ts";
import { LossSums } from "../train/loss_sums.ts";
import type { NamedSource } from "../train/objective.ts";
import { Sgd } from "../train/optimizer.ts";
import { Supervised } from "../train/supervised/supervised.ts";
import type { TrainingState } from "../train/trainer.ts";
import type { FineTuneRates, FineTuneSettings } from "./settings.ts";

/** Objective and optimiser of a fine-tuning, on the device. */
export class FineTuneState implements TrainingState {
  readonly objective: Supervised;
  readonly optimizer: Sgd;
  readonly losses: LossSums = new LossSums();
  step = 0;
  #stepBefore = 0;

  /** Allocates; {@linkcode initialise} or a checkpoint gives it values. */
  constructor(
    readonly gpu: Gpu,
    readonly model: PlainModel,
    classes: number,
    { momentum, weightDecay, seed }: FineTuneSettings,
    { headFactor }: FineTuneRates,
  ) {
    this.objective = new Supervised(gpu, model.network, { classes, seed });
    const groups = [{ match: "^fc\\.", learningRateFactor: headFactor, frozen: false }];
    this.optimizer = new Sgd(gpu, this.objective.encoder.weights, "encoder", {
      momentum,
      weightDecay,
      groups,
    });
  }

  get sources(): readonly NamedSource[] {
    return [...this.objective.sources, ...this.optimizer.sources];
  }

  /** The backbone is the model's; the classifier is new. */
  async initialise(): Promise<void> {
    const given: GivenValues = new Map(
      [...this.model.weights].filter(([name]) => !name.startsWith("fc."))
        .map(([name, { data }]) => [name, data as Float32Array<ArrayBuffer>]),
    );
    await this.objective.initialise(given);
    this.optimizer.clear();
    this.losses.clear();
    this.step = 0;
  }

  beginStep(): void {
    this.#stepBefore = this.step;
    this.objective.beginStep();
  }

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
