/**
 * What a training will need of memory and of arithmetic, before any is taken. Nothing is estimated that can be counted: whole
 * steps and a test are recorded on a device that does nothing, whose pool keeps the account.
 */
import { DenseViews } from "../../data/dense/dense_views.ts";
import type { Size } from "../../data/dense/placement.ts";
import { defaultResidentBytes } from "../../data/gpu_images.ts";
import { defaultCacheBytes } from "../../data/image_set.ts";
import { Gpu } from "../../gpu/device.ts";
import { FinitenessCheck } from "../../nn/finiteness.ts";
import { runtimeBytes, stagingBytes } from "../../pretrain/memory_plan.ts";
import { elements } from "../../shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { LossLog } from "../../train/loss_log.ts";
import type { Objective } from "../../train/objective.ts";
import { TrainingState } from "../../train/state.ts";
import { stateTensors } from "../../train/state_file.ts";
import { type DenseDefinition, type DenseKind, type DenseTask, optimizerOf } from "../dense/run.ts";
import { imaginedSet, imaginedStep } from "./imagined.ts";
import { area, largestOf, type SetLook } from "./look.ts";

/** Bytes of a training by what takes them. */
export interface DenseMemory {
  readonly device: {
    /** Values, gradients, momentum and statistics. */
    readonly weights: number;
    /** Photos that stay on the device. */
    readonly images: number;
    /** What steps and tests take besides: batches, feature maps and their gradients. */
    readonly activations: number;
    /** All of it at once, as the pool rounds it. */
    readonly total: number;
    /** The largest single tensor, and what this adapter binds at once. */
    readonly largest: number;
    readonly limit: number;
  };
  readonly host: {
    /** Decoded photos, at most. */
    readonly images: number;
    /** The batch in work and the next one: photos and what is known of them. */
    readonly batches: number;
    /** Tensors on their way to the disk, and the backbone's values. */
    readonly checkpoint: number;
    /** The runtime, the driver and compiled kernels. */
    readonly runtime: number;
    readonly total: number;
  };
}

/** What was counted. */
export interface Rehearsed {
  readonly memory: DenseMemory;
  /** The largest input of a step. */
  readonly input: Size;
  /** Floating-point operations of a step, on average, and of a test of one image. */
  readonly flops: { readonly step: number; readonly test: number };
}

/** Photos that are loaded at once to see whether the set fits on the device; see `GpuImages.open`. */
const imagesPerRound = 256;

/**
 * Rehearses a training.
 *
 * @param gpu asked for its facts and limits; nothing is allocated on it
 * @param batch images of a step
 */
export async function rehearseTraining<Kind extends DenseKind>(
  gpu: Gpu,
  definition: DenseDefinition<Kind>,
  task: DenseTask<Kind>,
  looks: { readonly train: SetLook; readonly test: SetLook },
  batch: number,
): Promise<Rehearsed> {
  const rehearsal = Gpu.rehearse(gpu.facts, gpu.device.limits);
  rehearsal.tuning.use(gpu.tuning.choices);
  const { pool, stream } = rehearsal;
  // What one binding cannot hold is said of the whole plan.
  pool.bounded = false;
  const objective = task.build(rehearsal);
  const state = new TrainingState<Kind["objective"]>(
    objective,
    optimizerOf<Kind>(rehearsal, objective, definition.config, task),
  );
  const finiteness = new FinitenessCheck(rehearsal, state.sources);
  const { terms }: Objective = objective;
  new LossLog(rehearsal, finiteness, state.losses, 1, 1, terms);
  const weights = pool.use.used;
  const resident = [looks.train, looks.test].map((look) => residentPixels(rehearsal, look));
  const fixed = pool.use.used;

  const { train, test } = looks;
  const sizes = task.imagined.inputs(train.sizes, batch, objective);
  const counted: number[] = [];
  for (const size of sizes) {
    const before = stream.flops;
    const pixels = resident[0] ?? batch * 4 * area(largestOf(train.sizes));
    await imaginedStep(state, task, definition.model.input, { images: batch, size, objects: "most", pixels });
    stream.discard();
    counted.push(stream.flops - before);
  }
  // The largest size comes up by itself where all are alike.
  const usual = counted.slice(sizes.length === 1 ? 0 : 1);
  const tested = stream.flops;
  const largest = largestOf(test.sizes);
  await rehearseTest(rehearsal, definition, task, objective, largest);
  // Written with another look at whether all is finite.
  new FinitenessCheck(rehearsal, state.sources);
  const use = pool.use;
  return {
    memory: {
      device: {
        weights,
        images: resident.reduce((sum, tensor) => sum + (tensor?.storage.capacity ?? 0), 0),
        activations: use.peak - fixed,
        total: use.peak,
        largest: use.largest,
        limit: pool.limit,
      },
      host: hostMemory(state, objective, looks, batch),
    },
    input: sizes[0],
    flops: {
      step: usual.reduce((sum, count) => sum + count, 0) / usual.length,
      test: (stream.flops - tested) * test.bytesPerImage / (4 * area(largest)),
    },
  };
}

/** The pixels of a set that stays on the device. */
function residentPixels(gpu: Gpu, { images, bytesPerImage }: SetLook): Tensor | undefined {
  const bytes = images * bytesPerImage;
  return bytes > defaultResidentBytes(gpu) ? undefined : Tensor.create(gpu, [Math.ceil(bytes / 4)]);
}

async function rehearseTest<Kind extends DenseKind>(
  gpu: Gpu,
  { train, model: { input: { mean, std } } }: DenseDefinition<Kind>,
  task: DenseTask<Kind>,
  objective: Kind["objective"],
  size: Size,
): Promise<void> {
  const set = imaginedSet<Kind["target"]>(train, size, task.imagined.target(size));
  // Where the set stays on the device it is counted there.
  const settings = { mean, std, antialias: task.antialias, residentBytes: 0 };
  const views = await DenseViews.open(gpu, set, settings);
  const { signal } = new AbortController();
  await task.evaluate(objective, views, Uint32Array.of(0), signal);
  gpu.stream.discard();
}

function hostMemory<Kind extends DenseKind>(
  state: TrainingState<Kind["objective"]>,
  { encoder: { weights } }: Kind["objective"],
  { train, test }: { readonly train: SetLook; readonly test: SetLook },
  batch: number,
): DenseMemory["host"] {
  const cached = ({ images, bytesPerImage }: SetLook) =>
    Math.max(
      Math.min(defaultCacheBytes, images * bytesPerImage),
      Math.min(imagesPerRound, images) * bytesPerImage,
    );
  const images = cached(train) + cached(test);
  const batches = 2 * batch * Math.ceil(5 / 4 * train.bytesPerImage);
  const stored = [...stateTensors(state)].reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
  const values = [...weights.shapes.parameters.values()].reduce((sum, shape) => sum + 4 * elements(shape), 0);
  const checkpoint = stored + Math.min(stored, stagingBytes) + values;
  return {
    images,
    batches,
    checkpoint,
    runtime: runtimeBytes,
    total: images + batches + checkpoint + runtimeBytes,
  };
}
