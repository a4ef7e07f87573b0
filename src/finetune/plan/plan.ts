/** What a training will be: counted, rehearsed and measured before it starts. Nothing is written. */
import type { Gpu } from "../../gpu/device.ts";
import { freeMemory } from "../../pretrain/memory_plan.ts";
import { stepsPerEpoch } from "../../train/trainer.ts";
import {
  type DenseDefinition,
  type DenseKind,
  type DenseRequest,
  type DenseTask,
  expectSameClasses,
} from "../dense/run.ts";
import { planOf } from "../training.ts";
import { lookAtSet } from "./look.ts";
import { type DenseMemory, rehearseTraining } from "./memory.ts";
import { measurePace, type StepInputSize } from "./pace.ts";

/** What is planned. */
export type PlanRequest<Kind extends DenseKind> =
  & DenseDefinition<Kind>
  & Pick<DenseRequest<Kind>, "train" | "test">;

/** What planning tells. */
export interface PlanHooks {
  /** Before each measured step. */
  onStep(input: StepInputSize): void;
}

/** A training before it starts. */
export interface DensePlan {
  readonly steps: number;
  readonly epochs: number;
  readonly images: { readonly training: number; readonly test: number };
  /** The largest input of a step. */
  readonly input: StepInputSize;
  /** Bytes. */
  readonly memory: DenseMemory;
  /** Free bytes of main memory; null where neither the system nor the permissions tell. */
  readonly free: number | null;
  /** What stands against it here, in sentences; none where it can start. */
  readonly obstacles: readonly string[];
  /** Floating-point operations of a step. */
  readonly flopsPerStep: number;
  /** The step that was measured, and its floating-point operations a second; `whole` where it is one of the training's. */
  readonly measured: StepInputSize & { readonly whole: boolean; readonly flopsPerSecond: number };
  readonly secondsPerStep: number;
  /** Steps and tests; images are decoded meanwhile. */
  readonly seconds: number;
  /** When that is over, from now on, in ISO 8601. */
  readonly ends: string;
}

/**
 * Plans a training.
 * @throws what its start would throw for classes, labels or settings that cannot be used
 */
export async function planDense<Kind extends DenseKind>(
  gpu: Gpu,
  request: PlanRequest<Kind>,
  task: DenseTask<Kind>,
  { onStep }: PlanHooks,
): Promise<DensePlan> {
  const { config, train, test, model } = request;
  expectSameClasses(train, test);
  const looks = { train: await lookAtSet(train), test: await lookAtSet(test) };
  const training = planOf(config, looks.train.images, model);
  const { batch, epochs, evaluateEvery } = training;
  const steps = epochs * stepsPerEpoch(training, looks.train.images);
  const { memory, input: size, flops } = await rehearseTraining(gpu, request, task, looks, batch);
  const free = freeMemory();
  const obstacles = obstaclesOf(memory, gpu.facts.software, free);
  const input = { images: batch, size };
  const pace = await measurePace(gpu, request, task, input, obstacles.length === 0, onStep);
  const secondsPerStep = pace.seconds(flops.step);
  const tests = Math.ceil(epochs / evaluateEvery);
  const seconds = steps * secondsPerStep + tests * looks.test.images * flops.test / pace.rate;
  return {
    steps,
    epochs,
    images: { training: looks.train.images, test: looks.test.images },
    input,
    memory,
    free: free ?? null,
    obstacles,
    flopsPerStep: Math.round(flops.step),
    measured: {
      images: pace.largest.images,
      size: pace.largest.size,
      whole: pace.whole,
      flopsPerSecond: Number(pace.rate.toPrecision(4)),
    },
    secondsPerStep: Number(secondsPerStep.toPrecision(4)),
    seconds: Number(seconds.toPrecision(6)),
    ends: new Date(Date.now() + 1000 * seconds).toISOString(),
  };
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

function obstaclesOf({ device, host }: DenseMemory, software: boolean, free: number | undefined): string[] {
  const found: string[] = [];
  if (device.largest > device.limit) {
    found.push(
      `One tensor has ${mebibytes(device.largest)}, and this adapter binds at most ${
        mebibytes(device.limit)
      } at once: give a smaller training.batch or smaller images, or take another device.`,
    );
  }
  const needed = host.total + (software ? device.total : 0);
  if (free !== undefined && needed > free) {
    found.push(
      `${mebibytes(needed)} of memory are needed here, and ${
        mebibytes(free)
      } are free: give a smaller training.batch or ` +
        "smaller images, or take another machine.",
    );
  }
  return found;
}
