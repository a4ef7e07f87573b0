/** How a network is fine-tuned with labels. */

/** What is tried: every learning rate with every factor. */
export interface FineTuneGrid {
  /** Of the backbone. */
  readonly learningRates: readonly number[];
  /** The classifier's learning rate is the backbone's times this. */
  readonly headFactors: readonly number[];
}

/** Settings of a fine-tuning. */
export interface FineTuneSettings extends FineTuneGrid {
  readonly epochs: number;
  /** Images of a step; at most as many as there are. */
  readonly batch: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** Parts of the epochs after which the learning rate is multiplied by `stepFactor`. */
  readonly milestones: readonly number[];
  readonly stepFactor: number;
  /** Part of each class's training images, 0 to 1, that the grid's choice is made on. */
  readonly validation: number;
  readonly seed: number;
}

/** One entry of the grid. */
export interface FineTuneRates {
  readonly learningRate: number;
  readonly headFactor: number;
}

/**
 * The settings of the published semi-supervised protocol (docs/evaluation.md): 20 epochs, the rate times 0.2 after 12 and
 * 16, batches of 256, weight decay 5e-4, a grid of nine.
 */
export const semiDefaults = {
  learningRates: [0.001, 0.01, 0.1],
  headFactors: [1, 10, 100],
  epochs: 20,
  batch: 256,
  momentum: 0.9,
  weightDecay: 5e-4,
  milestones: [0.6, 0.8],
  stepFactor: 0.2,
  validation: 0.2,
  seed: 1,
} as const satisfies FineTuneSettings;

/** The same for all labels, where nine trainings are too many: the grid's middle, with no choice to be made. */
export const fullDefaults = {
  ...semiDefaults,
  learningRates: [0.01],
  headFactors: [10],
} as const satisfies FineTuneSettings;

/** All entries of a grid. */
export function entriesOf({ learningRates, headFactors }: FineTuneGrid): FineTuneRates[] {
  return learningRates.flatMap((learningRate) =>
    headFactors.map((headFactor) => ({ learningRate, headFactor }))
  );
}

/**
 * Images of a step for so many training images: as set, but an eighth of them at most, so that an epoch has steps; eight at
 * least, for batchnorm's sake.
 */
export function batchFor(batch: number, images: number): number {
  return Math.min(images, Math.max(Math.min(8, batch), Math.min(batch, Math.floor(images / 8))));
}
