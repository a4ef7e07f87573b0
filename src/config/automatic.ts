/** What a configuration leaves to the images and the device, and the numbers that stand for it where neither is known. */
import type { Config, Settings } from "./schema.ts";

/** The number that is given, or another. */
export function givenOr(value: number | "auto", otherwise: number): number {
  return value === "auto" ? otherwise : value;
}

/**
 * MoCo v2's published settings for what is not given: for commands that need a configuration but look at no images, and
 * for libraries. What is given is kept, and what goes with it follows, so that only what is given can be refused.
 */
export function withPublished(settings: Settings): Config {
  const { data, moco, optimizer, training, knn } = settings;
  const groups = moco.batchnormGroups;
  const most = Math.min(256, givenOr(moco.queue, 256));
  const batch = givenOr(training.batch, Math.max(2, Math.floor(most / groups)) * groups);
  return {
    ...settings,
    data: { ...data, heldOut: givenOr(data.heldOut, 512), workers: givenOr(data.workers, 4) },
    moco: { ...moco, queue: givenOr(moco.queue, 65_536) },
    optimizer: { ...optimizer, learningRate: givenOr(optimizer.learningRate, 0.03) },
    training: {
      ...training,
      batch,
      epochs: givenOr(training.epochs, Math.max(200, Math.ceil(optimizer.warmupEpochs))),
    },
    knn: {
      ...knn,
      neighbours: givenOr(knn.neighbours, 200),
      bank: givenOr(knn.bank, 50_000),
    },
  };
}
