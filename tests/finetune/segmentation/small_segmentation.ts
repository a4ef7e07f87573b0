/** A segmentation that takes a second: a small network on drawn images of 32 x 32 pixels. */
import { openSegmentation } from "../../../src/data/dense/open.ts";
import type { SegmentationSource } from "../../../src/data/dense/target.ts";
import { extractSubnet } from "../../../src/extract/extract.ts";
import type { PlainModel } from "../../../src/extract/model.ts";
import { type FineTuneConfig, parseFineTuneConfig } from "../../../src/finetune/config.ts";
import type { DenseHooks, DenseRequest } from "../../../src/finetune/dense/run.ts";
import { type SegmentationKind, trainSegmentation } from "../../../src/finetune/segmentation/run.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import type { PixelMetrics, StepMetrics } from "../../../src/store/metrics.ts";
import { bottleneckSpace, livelyEncoder } from "../../extract/encoders.ts";
import { withFolder } from "../../store/with_folder.ts";

const input = { imageSize: 32, mean: [0.5, 0.5, 0.5] as const, std: [0.25, 0.25, 0.25] as const };

/** The smallest subnet of a random network of bottleneck blocks. */
export async function smallModel(gpu: Gpu, definition = bottleneckSpace): Promise<PlainModel> {
  const encoder = livelyEncoder(gpu, definition);
  const model = await extractSubnet(encoder, encoder.network.space.min, input, undefined);
  encoder.release();
  return model;
}

/** Two epochs of three steps of two images. */
export function smallConfig(changes: Partial<Record<keyof FineTuneConfig, object>> = {}): FineTuneConfig {
  return parseFineTuneConfig({
    optimizer: { learningRate: 0.05, ...changes.optimizer },
    training: { epochs: 2, batch: 2, logEvery: 1, evaluateEvery: 1, ...changes.training },
    segmentation: { outputStride: 8, crop: [24, 24], ...changes.segmentation },
  }, "test");
}

/** Synthetic images with their classes. */
export function drawn(count: number, seed = 1): Promise<SegmentationSource> {
  return openSegmentation(`synthetic:${count}`, { imageSize: 32, seed });
}

/** What a run told. */
export interface Told {
  readonly lines: (StepMetrics | PixelMetrics)[];
  readonly predictions: Map<number, Uint8Array>;
}

/** Hooks that remember; lines of an earlier part of the run are those that it told. */
export function remembering(
  told: Told,
  signal = new AbortController().signal,
  changes: Partial<DenseHooks<SegmentationKind>> = {},
): DenseHooks<SegmentationKind> {
  return {
    signal,
    onStart({ step }) {
      const kept = told.lines.filter((line) => step > 0 && line.step <= step);
      told.lines.splice(0, told.lines.length, ...kept);
      return Promise.resolve();
    },
    evaluated: (step) => Promise.resolve(told.lines.some((line) => "mIoU" in line && line.step === step)),
    append: (...lines) => Promise.resolve(void told.lines.push(...lines)),
    onSteps: () => {},
    onEvaluation: () => {},
    onPrediction: (index, classes) => Promise.resolve(void told.predictions.set(index, classes.slice())),
    ...changes,
  };
}

/** Lends a segmentation that is ready to be trained, six images and four to test on. */
export async function withSegmentation(
  gpu: Gpu,
  changes: Parameters<typeof smallConfig>[0],
  use: (request: DenseRequest<SegmentationKind>) => Promise<void>,
): Promise<void> {
  const [train, test] = [await drawn(6), await drawn(4, 2)];
  try {
    await withFolder(async (folder) =>
      await use({
        model: await smallModel(gpu),
        ...{ head: "fcn", config: smallConfig(changes), train, test },
        kept: { path: `${folder}/last.safetensors`, about: "this one" },
      })
    );
  } finally {
    train.release();
    test.release();
  }
}

/** Trains to the end; the bits of the network, what was told, and the measures. */
export async function trainWhole(gpu: Gpu, request: DenseRequest<SegmentationKind>, told?: Told) {
  told ??= { lines: [], predictions: new Map() };
  const trained = await trainSegmentation(gpu, request, remembering(told));
  if (!trained) throw new Error("it was interrupted");
  using objective = trained.objective;
  const { weights, statistics } = objective.encoder;
  const named = [...weights.values.entries(), ...statistics.arena.entries()];
  const contents = await gpu.read(...named.map(([, tensor]) => tensor));
  const bits = new Map(named.map(([name], at) => [name, [...new Uint32Array(contents[at])]]));
  return { bits, told, metrics: trained.metrics, steps: trained.steps };
}

/** Lines without what depends on the clock. */
export function timeless(lines: Told["lines"]): object[] {
  return lines.map((line) => "loss" in line ? { ...line, imagesPerSecond: 0 } : line);
}
