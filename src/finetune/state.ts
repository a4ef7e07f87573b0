/** A network with its classifier while both are fine-tuned. */
import type { Gpu } from "../gpu/device.ts";
import { backboneValues, type PlainModel } from "../extract/model.ts";
import { Sgd } from "../train/optimizer.ts";
import { TrainingState } from "../train/state.ts";
import { Supervised } from "../train/supervised/supervised.ts";
import type { FineTuneRates, FineTuneSettings } from "./settings.ts";

/** Objective and optimiser of a fine-tuning, on the device. */
export class FineTuneState extends TrainingState<Supervised, Sgd> {
  /** Allocates; {@linkcode initialise} or a checkpoint gives it values. */
  constructor(
    gpu: Gpu,
    readonly model: PlainModel,
    classes: number,
    { momentum, weightDecay, seed }: FineTuneSettings,
    { headFactor }: FineTuneRates,
  ) {
    const objective = new Supervised(gpu, model.network, { classes, seed });
    const groups = [{ match: "^fc\\.", learningRateFactor: headFactor, frozen: false }];
    super(objective, new Sgd(gpu, objective.encoder.weights, "encoder", { momentum, weightDecay, groups }));
  }

  /** The backbone is the model's; the classifier is new. */
  async initialise(): Promise<void> {
    await this.objective.initialise(backboneValues(this.model));
    this.restart();
  }
}
