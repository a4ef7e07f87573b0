/** What a run would be: counted and planned, nothing allocated, no folder made. */
import { checkAgainstData } from "../config/checks.ts";
import { dataSeed } from "../config/data_seed.ts";
import type { Config } from "../config/schema.ts";
import { openSource } from "../data/source.ts";
import type { SourceOptions } from "../data/image_set.ts";
import { splitImages } from "../data/split.ts";
import { storedBytes, storedSide } from "../data/stored_side.ts";
import type { Gpu } from "../gpu/device.ts";
import { readInitialWeights } from "./init/initial_weights.ts";
import { checkMemory, freeMemory, type MemoryPlan, planMemory } from "./memory_plan.ts";
import { withTeacherDimension } from "./teacher/teacher.ts";
import { stepsPerEpoch } from "./trainer.ts";

/** A run before it starts. */
export interface RunPlan {
  readonly steps: number;
  readonly epochs: number;
  /** Images that are trained on, and those held back. */
  readonly images: { readonly training: number; readonly heldOut: number };
  /** Bytes. */
  readonly memory: MemoryPlan;
  /** Free bytes of main memory; null where neither the system nor the permissions tell. */
  readonly free: number | null;
}

/**
 * Plans a run.
 * @throws {ConfigurationError} for whatever a start would refuse
 */
export async function planRun(
  gpu: Gpu,
  given: Config,
  hooks: Pick<SourceOptions, "onWarning">,
): Promise<RunPlan> {
  const config = await withTeacherDimension(given);
  const { data, training } = config;
  await readInitialWeights(config);
  const source = await openSource(data.source, {
    imageSize: data.imageSize,
    storedSide: storedSide(config),
    seed: dataSeed(config),
    strict: data.strict,
    preload: false,
    cacheBytes: 0,
    ...hooks,
  });
  try {
    const split = splitImages(config, source);
    checkAgainstData(config, split.train.length);
    const memory = await planMemory(gpu, config, source.length, await storedBytes(source, config));
    const free = freeMemory();
    checkMemory(memory, config, gpu.facts.software, free);
    return {
      steps: training.epochs * stepsPerEpoch(config, split.train.length),
      epochs: training.epochs,
      images: { training: split.train.length, heldOut: split.heldOut.length },
      memory,
      free: free ?? null,
    };
  } finally {
    source.release();
  }
}
