/** Rules that span several fields, or the fields and the data. */

import { ConfigurationError } from "../errors.ts";
import { SearchSpace } from "../elastic/search_space.ts";
import { sourceName } from "./data_source.ts";
import { hasQueue, parseTeacher } from "./objective.ts";
import type { Config } from "./schema.ts";

function refuse(field: string, message: string): never {
  throw new ConfigurationError(`${field} ${message}`);
}

function checkRange(field: string, [low, high]: readonly [number, number]): void {
  if (low > high) refuse(field, `is [${low}, ${high}]. Give the smaller number first.`);
}

/**
 * Checks the rules that need nothing but the configuration.
 *
 * @throws {ConfigurationError} naming the field, what it holds and what is allowed
 */
export function checkConfig(config: Config): void {
  const { data, augmentation, distillation, head, moco, sandwich, optimizer, training } = config;
  new SearchSpace(config.space);
  if (distillation.teacher !== null) parseTeacher(distillation.teacher);

  const { storedSide, imageSize } = data;
  if (typeof storedSide === "number" && (storedSide <= imageSize || storedSide > 8 * imageSize)) {
    refuse(
      "data.storedSide",
      `is ${storedSide}. Give "auto", or more than data.imageSize, ${imageSize}, and at most 8 times that, ` +
        `${8 * imageSize}.`,
    );
  }

  if (augmentation !== "none") {
    if (augmentation.crop) {
      checkRange("augmentation.crop.scale", augmentation.crop.scale);
      checkRange("augmentation.crop.ratio", augmentation.crop.ratio);
      if (augmentation.crop.scale[1] > 1) {
        refuse(
          "augmentation.crop.scale",
          `ends at ${augmentation.crop.scale[1]}. A crop is at most the image: 1.`,
        );
      }
    }
    if (augmentation.blur) checkRange("augmentation.blur.sigma", augmentation.blur.sigma);
  }
  if (head.dimension % 4 !== 0) {
    refuse("head.dimension", `is ${head.dimension}. It must be a multiple of 4, which kernels load at once.`);
  }
  if (!sandwich.largest && !sandwich.smallest && sandwich.random === 0) {
    refuse("sandwich", "asks for no pass. Set at least one of largest, smallest and random.");
  }
  if (sandwich.aloneEpochs > 0 && !sandwich.largest) {
    refuse(
      "sandwich.aloneEpochs",
      "is of the largest architecture, but sandwich.largest is false. Set it, or 0 here.",
    );
  }
  if (hasQueue(config) && moco.queue < training.batch) {
    refuse(
      "moco.queue",
      `is ${moco.queue}, less than training.batch, ${training.batch}. The queue must hold at least one step's keys.`,
    );
  }
  const groups = moco.batchnormGroups;
  if (training.batch % groups !== 0) {
    refuse(
      "moco.batchnormGroups",
      `is ${groups}, which does not divide training.batch, ${training.batch}. Groups must be equally large.`,
    );
  }
  if (training.batch / groups < 2) {
    refuse(
      training.batch < 2 ? "training.batch" : "moco.batchnormGroups",
      `leaves one image per batchnorm group (training.batch ${training.batch}, moco.batchnormGroups ${groups}). ` +
        "Batch statistics need at least 2 images.",
    );
  }
  if (training.epochs > 0 && optimizer.warmupEpochs > training.epochs) {
    refuse(
      "optimizer.warmupEpochs",
      `is ${optimizer.warmupEpochs}, more than training.epochs, ${training.epochs}. It is at most that.`,
    );
  }
}

/**
 * Checks the rules that depend on how many images there are to train on.
 *
 * @param images number of training images, without those held out
 * @throws {ConfigurationError} naming the field, what it holds and what is allowed
 */
export function checkAgainstData(config: Config, images: number): void {
  const { moco, training } = config;
  if (training.batch > images) {
    refuse(
      "training.batch",
      `is ${training.batch}, but there are only ${images} training images. Give at most that, or more images ` +
        `(data.source is ${sourceName(config.data.source)}, ${
          config.data.test === null ? config.data.heldOut : 0
        } held out).`,
    );
  }
  const last = images % training.batch;
  const groups = moco.batchnormGroups;
  if (training.lastBatch === "keep" && last > 0 && (last % groups !== 0 || last / groups < 2)) {
    refuse(
      "training.lastBatch",
      `is "keep", but the last batch has ${last} of ${images} images, which ${
        groups === 1
          ? "batchnorm cannot take statistics from"
          : `do not make ${groups} batchnorm groups of equal size with 2 images or more`
      }. Use "drop" or another training.batch.`,
    );
  }
}

/** How images are normalised for torchvision's weights. */
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

function usesImageNet({ mean, std }: Config["data"]): boolean {
  return mean.join() === imageNet.mean.join() && std.join() === imageNet.std.join();
}

/**
 * What is allowed but probably not meant, as sentences for the user.
 *
 * @param images number of training images, without those held out
 * @param labelled whether they have labels, without which there is no kNN anyway
 */
export function configWarnings(config: Config, images: number, labelled = true): string[] {
  const { data, initialisation, knn, moco } = config;
  const warnings: string[] = [];
  if (initialisation.weights !== null && !usesImageNet(data)) {
    warnings.push(
      `data.mean is ${JSON.stringify(data.mean)} and data.std ${
        JSON.stringify(data.std)
      }, but torchvision's weights were ` +
        `trained with ImageNet's, ${JSON.stringify(imageNet.mean)} and ${
          JSON.stringify(imageNet.std)
        }. Set those, ` +
        `unless ${initialisation.weights} was trained otherwise.`,
    );
  }
  if (hasQueue(config) && moco.queue > images) {
    warnings.push(
      `moco.queue holds ${moco.queue} keys of ${images} training images: each image meets its own earlier keys as ` +
        "negatives, which slows learning down. A quarter of the images or less works better.",
    );
  }
  if (!labelled || knn.every === 0) return warnings;
  if (data.test === null && data.heldOut === 0) {
    warnings.push("No kNN: data.test is null and data.heldOut is 0. Set one of them, or knn.every to 0.");
  }
  const bank = Math.min(knn.bank, images);
  if (knn.neighbours > bank) {
    warnings.push(
      `knn.neighbours is ${knn.neighbours}, but only ${bank} images are searched: all of them vote.`,
    );
  }
  return warnings;
}
