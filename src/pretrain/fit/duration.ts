/** How long a run takes, by the time of its steps, and how it would be over sooner. */
import type { Config } from "../../config/schema.ts";
import type { Look } from "./look.ts";
import { type Choice, chooseEpochs, chooseEpochsOfSelf, roundDown } from "./rules.ts";
import { mostAgreementImages } from "../agreement.ts";
import { mostSpreadImages } from "../watch.ts";
import { averageStepMacs, evaluationMacs } from "./step_macs.ts";

/** A run whose time is asked for. */
export interface TimedRun {
  readonly config: Config;
  readonly look: Look;
  /** Images to train on. */
  readonly training: number;
  /** Images held out that kNN classifies; 0 where there is no kNN. */
  readonly heldOut: number;
  readonly stepsPerEpoch: number;
  /** Steps that are done already. */
  readonly done: number;
  /** Measured, of steps whose images are there. */
  readonly secondsPerStep: number;
  /** Whether the epochs are what fits an hour, also where a step takes less. */
  readonly automaticEpochs: boolean;
}

/** A way to a shorter run, as flags. */
export interface ShorterWay {
  readonly flags: string;
  /** Estimated time of the whole run. */
  readonly seconds: number;
}

/** What `training.epochs` becomes where it is open: at least those of the warm-up. */
export function automaticEpochsOf(
  { optimizer, distillation }: Pick<Config, "optimizer" | "distillation">,
  training: number,
  stepsPerEpoch: number,
  secondsPerEpoch: number,
): Choice {
  const { value, reason } = distillation.teacher === "self"
    ? chooseEpochsOfSelf(stepsPerEpoch)
    : chooseEpochs(training, stepsPerEpoch, secondsPerEpoch);
  return { value: Math.max(value, Math.ceil(optimizer.warmupEpochs)), reason };
}

/** Training images that an evaluation looks at: without kNN those whose spread is measured. */
function evaluationBank(
  { knn, data }: Pick<Config, "knn" | "data">,
  training: number,
  heldOut: number,
): number {
  const bank = Math.min(knn.bank, training);
  return heldOut === 0 && data.test === null ? Math.min(bank, mostSpreadImages) : bank;
}

/** Images that evaluations keep beside training's, which are of another size. */
function ownImages({ config: { data, knn }, look, training, heldOut }: TimedRun): number {
  const { imageSize } = data;
  if (knn.every === 0 || look.bytesPerImage === 4 * imageSize ** 2) return 0;
  return evaluationBank({ knn, data }, training, heldOut) + heldOut;
}

/** Part of the decoded images that stay in memory: with all of them, each is decoded once. */
function keptPart(run: TimedRun): number {
  const { config: { data: { imageSize, cacheMegabytes } }, look } = run;
  const bytes = look.images * look.bytesPerImage + ownImages(run) * 4 * imageSize ** 2;
  return Math.min(1, cacheMegabytes * 2 ** 20 / bytes);
}

/** Seconds of a step with its images, which are decoded while the device works. */
export function secondsWithImages(run: TimedRun): number {
  const { config, look, secondsPerStep } = run;
  if (keptPart(run) === 1) return secondsPerStep;
  return Math.max(secondsPerStep, look.secondsPerImage * config.training.batch);
}

/** Estimated seconds of what is left of a run: decoding, steps and evaluations. */
export function runSeconds(run: TimedRun): number {
  const { config, look, training, heldOut, stepsPerEpoch, done, secondsPerStep } = run;
  const { training: { epochs, batch }, knn } = config;
  const left = Math.max(0, epochs * stepsPerEpoch - done);
  const decoding = look.secondsPerImage * (look.images + ownImages(run)) * keptPart(run);
  if (left === 0 || knn.every === 0) return decoding + left * secondsWithImages(run);
  const bank = evaluationBank(config, training, heldOut);
  const secondsPerMac = secondsPerStep / (batch * averageStepMacs(config));
  // Two views by the network, and the image itself by the teacher.
  const compared = 3 * Math.min(mostAgreementImages, bank);
  const images = bank + Math.min(knn.calibrate, bank) + heldOut + compared;
  const evaluation = images * evaluationMacs(config) * secondsPerMac;
  const evaluations = Math.ceil(left / stepsPerEpoch / knn.every) + (done === 0 ? 1 : 0);
  return decoding + left * secondsWithImages(run) + evaluations * evaluation;
}

/** Seconds after which a run is called long. */
export const long = 3600;
/** What a shorter one should take. */
const wanted = 3300;
/** Fewer epochs are no way: they would teach nothing. */
const leastEpochs = 3;

/** A configuration of less work, and the flag that asks for it. */
export interface SmallerWay {
  readonly flags: string;
  /** Its epochs, where it gives them. */
  readonly epochs: number | "auto";
  /** Time of an image in a step, over that of the run. */
  readonly ratio: number;
}

/**
 * Ways to a run of less than an hour, or nearer to it; none for one that is not longer.
 *
 * @param smaller a configuration that is one where its steps take less
 */
export function shorterWays(run: TimedRun, smaller?: SmallerWay): ShorterWay[] {
  const seconds = runSeconds(run);
  if (seconds <= long) return [];
  const { config, done, training, stepsPerEpoch, automaticEpochs } = run;
  const { training: { epochs }, data: { imageSize }, space } = config;
  const doneEpochs = Math.ceil(done / stepsPerEpoch);
  /** With fewer epochs, where that is enough. */
  const shortened = (flags: string, seconds: number, epochs: number): ShorterWay | undefined => {
    const left = (epochs - doneEpochs) * wanted / seconds;
    if (left < leastEpochs) return undefined;
    const fewer = doneEpochs + roundDown(left);
    const share = (fewer - doneEpochs) / (epochs - doneEpochs);
    return { flags: `${flags}--epochs ${fewer}`, seconds: seconds * share };
  };
  const ways = [shortened("", seconds, epochs)];
  // A run that goes on keeps its network and its images' size.
  if (done === 0) {
    const add = ({ flags, ratio, epochs: given }: SmallerWay) => {
      if (ratio >= 1) return;
      const perEpoch = seconds / epochs * ratio;
      const number = given === "auto"
        ? automaticEpochsOf(config, training, stepsPerEpoch, perEpoch).value
        : given;
      const way = { flags, seconds: perEpoch * number };
      ways.push(way, way.seconds > long ? shortened(`${flags} `, way.seconds, number) : undefined);
    };
    const least = space.stem.kind === "7x7" ? 64 : 32;
    const side = Math.max(least, Math.floor(imageSize * 0.7 / 16) * 16);
    const data = { ...config.data, imageSize: side };
    if (side < imageSize) {
      const ratio = averageStepMacs({ ...config, data }) / averageStepMacs(config);
      add({ flags: `--set data.imageSize=${side}`, ratio, epochs: automaticEpochs ? "auto" : epochs });
    }
    if (smaller) add(smaller);
  }
  const found = ways.filter((way) => way !== undefined);
  const fitting = found.filter((way) => way.seconds <= long);
  return (fitting.length > 0 ? fitting : found).map((way) => ({ ...way, seconds: Math.round(way.seconds) }));
}
