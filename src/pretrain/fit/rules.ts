/**
 * The numbers that images and device decide about where a configuration leaves them open, each with its reason. Functions
 * of their arguments alone.
 */
import { counted, formatCount } from "../../count.ts";
import { formatDuration } from "../../duration.ts";

/** A number, and why it is that. */
export interface Choice {
  readonly value: number;
  readonly reason: string;
}

/** The images of a run, as far as choices depend on them. */
export interface ImageCounts {
  /** All that are listed. */
  readonly images: number;
  /** Undefined where the images have no labels. */
  readonly classes: number | undefined;
}

const mostHeldOut = 1000;
const mostKeys = 65_536;
/** Images of a step on a GPU, and on a driver that computes on the processor. */
const deviceBatch = 256, softwareBatch = 64;
/** Fewest steps of an epoch, before batches become smaller for it: what little there is to see takes many steps. */
const fewestSteps = 32;
/** The smallest batch that is chosen for few images: batchnorm needs some to take statistics from. */
const leastBatch = 16;
/** An hour with decoding and evaluations. */
const secondsWanted = 3300;
/** Fewest epochs, whatever they take: those of many images have more steps. */
const fewestEpochs = 20, fewestEpochsOfMany = 5, stepsOfFewest = 1000;
/** Steps after which subnets have what their own largest network knows. */
const stepsOfSelf = 300;
/** Most epochs, however quick they are. */
const mostEpochs = 200, mostEpochsOfFew = 800;
/** Few images are seen so often altogether, within {@linkcode mostEpochsOfFew}. */
const viewsOfFew = 400_000;

/**
 * `data.heldOut`: what kNN classifies.
 *
 * @param watched whether there is kNN, and no set of its own for it
 */
export function chooseHeldOut({ images, classes }: ImageCounts, watched: boolean): Choice {
  if (classes === undefined) return { value: 0, reason: "the images have no labels for kNN" };
  if (!watched) return { value: 0, reason: "kNN looks at other images, or at none" };
  const fifth = Math.floor(images / 5);
  return fifth > mostHeldOut
    ? {
      value: mostHeldOut,
      reason: `enough for a standard error below 1.6 points; of ${formatCount(images)} images`,
    }
    : { value: fifth, reason: `a fifth of ${formatCount(images)} images` };
}

/**
 * `training.batch`.
 *
 * @param training images to train on
 * @param groups `moco.batchnormGroups`, which divides it
 * @param queue `moco.queue` where it is given: it holds a batch at least
 */
export function chooseBatch(
  training: number,
  software: boolean,
  groups: number,
  queue: number | undefined,
): Choice {
  const usual = software ? softwareBatch : deviceBatch;
  const few = Math.max(leastBatch, 2 ** Math.floor(Math.log2(Math.max(1, training / fewestSteps))));
  const most = Math.min(usual, few, training, queue ?? Infinity);
  const value = Math.max(2, Math.floor(most / groups)) * groups;
  const reason = value === usual
    ? software ? "without a GPU: more steps in the same time" : "usual on a GPU"
    : `${formatCount(training)} training images make ${
      counted(Math.floor(training / value), "step")
    } an epoch so`;
  return { value, reason };
}

/** `moco.queue`: a quarter of the images, so that an image rarely meets its own earlier key as a negative. */
export function chooseQueue(training: number, batch: number): Choice {
  const quarter = Math.floor(training / 4);
  if (quarter < batch) return { value: batch, reason: "one batch: the least that there must be" };
  const value = Math.floor(Math.min(quarter, mostKeys) / batch) * batch;
  return {
    value,
    reason: quarter >= mostKeys
      ? "MoCo v2's"
      : `at most a quarter of ${formatCount(training)} training images`,
  };
}

/** `optimizer.learningRate`: the square root rule, from the demo's rate. */
export function chooseLearningRate(batch: number): Choice {
  const value = Number((0.06 * Math.sqrt(batch / 64)).toPrecision(2));
  return { value, reason: `0.06 at batches of 64, by the square root for batches of ${batch}` };
}

/** `data.workers`: threads that decode. */
export function chooseWorkers(cores: number, software: boolean): Choice {
  const most = software ? 4 : 16;
  return {
    value: Math.max(1, Math.min(most, cores)),
    reason: cores <= most
      ? `one for each of ${cores} cores`
      : `of ${cores} cores; ${software ? "the rest computes" : "more would wait for the disk"}`,
  };
}

/** `knn.bank`: images that vote. */
export function chooseBank(training: number, software: boolean): Choice {
  const most = software ? 4096 : 50_000;
  return training <= most ? { value: Math.max(1, training), reason: "all training images" } : {
    value: most,
    reason: `of ${formatCount(training)} training images${software ? ", without a GPU" : ""}`,
  };
}

/** `knn.neighbours`. */
export function chooseNeighbours(bank: number, classes: number | undefined): Choice {
  const half = Math.round(bank / (classes ?? 10) / 2);
  const value = Math.max(Math.min(5, bank), Math.min(200, half));
  return {
    value,
    reason: classes === undefined
      ? "no labels, no kNN"
      : `about half of the ${
        Math.round(bank / classes)
      } images that each of ${classes} classes has in the bank`,
  };
}

/**
 * `training.epochs`: what fits an hour, within bounds.
 *
 * @param training images to train on
 * @param secondsPerEpoch measured
 */
export function chooseEpochs(training: number, stepsPerEpoch: number, secondsPerEpoch: number): Choice {
  const enough = Math.ceil(stepsOfFewest / stepsPerEpoch);
  const fewest = Math.max(fewestEpochsOfMany, Math.min(fewestEpochs, enough));
  const most = Math.max(mostEpochs, Math.min(mostEpochsOfFew, roundDown(viewsOfFew / training)));
  const fitting = Math.floor(secondsWanted / secondsPerEpoch);
  const epoch = `an epoch takes about ${
    secondsPerEpoch < 10 ? secondsPerEpoch.toFixed(1) + " s" : formatDuration(secondsPerEpoch)
  }`;
  if (fitting < fewest) return { value: fewest, reason: `fewer would teach little; ${epoch}` };
  if (fitting >= most) {
    const few = most > mostEpochs ? `, as ${formatCount(training)} images are few` : "";
    return { value: most, reason: `no more are needed${few}; ${epoch}` };
  }
  return { value: roundDown(fitting), reason: `what fits an hour; ${epoch}` };
}

/**
 * `training.epochs` of a network that teaches its subnets what it knows already: little is new, and what it knows
 * stays. Measured on 1 275 photos, where 234 steps were enough.
 */
export function chooseEpochsOfSelf(stepsPerEpoch: number): Choice {
  const value = Math.max(fewestEpochsOfMany, Math.ceil(stepsOfSelf / stepsPerEpoch));
  return { value, reason: "the weights know already what the subnets learn" };
}

/** Down to two digits. */
export function roundDown(value: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return Math.floor(value / unit) * unit;
}
