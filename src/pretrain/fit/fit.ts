/** A configuration for the images and the device that it meets: what it leaves open becomes numbers. */
import { withPublished } from "../../config/automatic.ts";
import { hasQueue } from "../../config/objective.ts";
import type { Config, Settings } from "../../config/schema.ts";
import { ConfigurationError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { checkMemory, freeMemory, planMemory } from "../memory_plan.ts";
import { automaticEpochsOf } from "./duration.ts";
import type { Look } from "./look.ts";
import {
  type Choice,
  chooseBank,
  chooseBatch,
  chooseHeldOut,
  chooseLearningRate,
  chooseNeighbours,
  chooseQueue,
  chooseWorkers,
} from "./rules.ts";

/** A field that was decided about, e.g. `training.batch`. */
export interface ChosenField extends Choice {
  readonly field: string;
}

/** A configuration with all but the epochs decided, and what was decided. */
export interface Fitted {
  readonly config: Config;
  readonly chosen: readonly ChosenField[];
}

/** Smallest batch that is chosen to save memory. */
const leastBatch = 16;

/** Threads that decode: the given number, or the device's. */
export function decodingWorkers({ data: { workers } }: Settings, gpu: Gpu): Choice {
  return workers === "auto"
    ? chooseWorkers(navigator.hardwareConcurrency || 1, gpu.facts.software)
    : { value: workers, reason: "" };
}

/**
 * Decides about all but the epochs, for which the time of a step is asked.
 *
 * @throws {ConfigurationError} when there is not enough memory, whatever the batch
 */
export async function fitSettings(gpu: Gpu, settings: Settings, look: Look): Promise<Fitted> {
  const { data, moco, optimizer, training, knn } = settings;
  const { software } = gpu.facts;
  const chosen: ChosenField[] = [];
  // Without kNN, or keys, nobody asks.
  const silent = (field: string) =>
    (field.startsWith("knn.") && (look.classes === undefined || knn.every === 0)) ||
    (field === "moco.queue" && !hasQueue(settings));
  const decide = (field: string, given: number | "auto", choose: () => Choice): number => {
    if (given !== "auto") return given;
    const choice = choose();
    if (!silent(field)) chosen.push({ field, ...choice });
    return choice.value;
  };
  const watched = knn.every > 0 && data.test === null;
  const heldOut = decide("data.heldOut", data.heldOut, () => chooseHeldOut(look, watched));
  const kept = watched && look.classes !== undefined ? Math.min(heldOut, look.images) : 0;
  const train = Math.max(1, look.images - kept);
  const workers = decide("data.workers", data.workers, () => decodingWorkers(settings, gpu));
  const bank = decide("knn.bank", knn.bank, () => chooseBank(train, software));
  const neighbours = decide(
    "knn.neighbours",
    knn.neighbours,
    () => chooseNeighbours(Math.min(bank, train), look.classes),
  );
  const published = withPublished(settings);
  /** What follows from a batch. */
  const withBatch = (batch: Choice): Fitted => {
    const more = [...chosen];
    const follow = (field: string, given: number | "auto", choice: Choice): number => {
      if (given !== "auto") return given;
      if (!silent(field)) more.push({ field, ...choice });
      return choice.value;
    };
    const size = follow("training.batch", training.batch, batch);
    const queue = follow("moco.queue", moco.queue, chooseQueue(train, size));
    const rate = follow("optimizer.learningRate", optimizer.learningRate, chooseLearningRate(size));
    const config: Config = {
      ...published,
      data: { ...published.data, heldOut, workers },
      moco: { ...moco, queue },
      optimizer: { ...optimizer, learningRate: rate },
      training: { ...published.training, batch: size },
      knn: { ...knn, bank, neighbours },
    };
    return { config, chosen: more };
  };
  if (training.batch !== "auto") return withBatch({ value: training.batch, reason: "" });
  const queue = moco.queue === "auto" || !hasQueue(settings) ? undefined : moco.queue;
  let batch = chooseBatch(train, software, moco.batchnormGroups, queue);
  for (;;) {
    const fitted = withBatch(batch);
    const half = Math.floor(batch.value / 2 / moco.batchnormGroups) * moco.batchnormGroups;
    try {
      const plan = await planMemory(gpu, fitted.config, look.images, look.bytesPerImage);
      checkMemory(plan, fitted.config, software, freeMemory());
      return fitted;
    } catch (error) {
      if (!(error instanceof ConfigurationError) || half < leastBatch || half < 2 * moco.batchnormGroups) {
        throw error;
      }
      batch = { value: half, reason: `what there is memory for; ${batch.value} would need more` };
    }
  }
}

/** A configuration for a device whose images are not known: with the batch that many images would have. */
export function withUsualBatch(settings: Settings, software: boolean): Config {
  const { training, moco } = settings;
  if (training.batch !== "auto") return withPublished(settings);
  const queue = moco.queue === "auto" || !hasQueue(settings) ? undefined : moco.queue;
  const { value: batch } = chooseBatch(Infinity, software, moco.batchnormGroups, queue);
  return withPublished({ ...settings, training: { ...training, batch } });
}

/** The configuration with its epochs, which are decided by what one takes. */
export function fitEpochs(
  settings: Settings,
  { config, chosen }: Fitted,
  training: number,
  stepsPerEpoch: number,
  secondsPerStep: (config: Config) => number,
): Fitted {
  if (settings.training.epochs !== "auto") return { config, chosen };
  const secondsPerEpoch = stepsPerEpoch * secondsPerStep(config);
  const choice = automaticEpochsOf(config, training, stepsPerEpoch, secondsPerEpoch);
  return {
    config: { ...config, training: { ...config.training, epochs: choice.value } },
    chosen: [...chosen, { field: "training.epochs", ...choice }],
  };
}
