/** How subnets are judged that are trained with a head: each from its pretrained weights, all for the same epochs. */
import type { DataRecord } from "../../store/data_record.ts";
import { openInstances, openSegmentation } from "../../data/dense/open.ts";
import {
  type DenseSource,
  ignoredClass,
  type InstanceSource,
  type InstanceTarget,
  type LabelTarget,
  type SegmentationSource,
} from "../../data/dense/target.ts";
import { type Architecture, formatArchitecture } from "../../elastic/architecture.ts";
import { type DetectedObject, matchDetections, type TrueObject } from "../../evaluate/coco.ts";
import { trueObjects } from "../../evaluate/coco_results.ts";
import { PixelConfusion } from "../../evaluate/segmentation.ts";
import { cutBackbone } from "../../extract/backbone.ts";
import type { FineTuneConfig } from "../../finetune/config.ts";
import type { DenseHooks, DenseKind, DenseRequest, TrainedDense } from "../../finetune/dense/run.ts";
import { type DetectionKind, trainDetection } from "../../finetune/detection/run.ts";
import type { DetectionHead } from "../../finetune/detection/settings.ts";
import type { SegmentationHead } from "../../finetune/segmentation/network.ts";
import { type SegmentationKind, trainSegmentation } from "../../finetune/segmentation/run.ts";
import type { Gpu } from "../../gpu/device.ts";
import { openEncoder } from "../../pretrain/encoder_file.ts";
import { removeFile } from "../../store/remove_file.ts";
import type { Judging } from "./judging.ts";
import { type Outcome, packMatches } from "./outcome.ts";
import type { DenseProtocol } from "./protocols.ts";

/** What subnets are trained for, on what, and tested on what. */
export interface DenseJudgingRequest {
  readonly protocol: DenseProtocol;
  readonly head: SegmentationHead | DetectionHead;
  readonly config: FineTuneConfig;
  /** Data specifications. */
  readonly data: string;
  readonly testData: string;
  /** The run's record of its images. */
  readonly record: DataRecord | undefined;
  /** A training that was interrupted is kept here. */
  readonly kept: string;
  onWarning(text: string): void;
}

/** What a task adds to what all share: a training, and what it leaves behind. */
interface DenseTest<Kind extends DenseKind> {
  train(
    gpu: Gpu,
    request: DenseRequest<Kind>,
    hooks: DenseHooks<Kind>,
  ): Promise<TrainedDense<Kind> | undefined>;
  /** Receives predictions of one training, and makes the outcome of them. */
  collect(): { readonly onPrediction: Kind["onPrediction"]; outcome(): Outcome };
}

/**
 * Opens the images that subnets are trained and tested on.
 *
 * @throws {ConfigurationError} for a specification that has no such labels
 * @throws {DataError} for files that are not what they should be
 */
export async function openDenseJudging(gpu: Gpu, request: DenseJudgingRequest): Promise<Judging> {
  const { protocol, data, testData, config, onWarning } = request;
  const { seed } = config.training;
  const options = (drawn: number) => ({ imageSize: 64, seed: drawn, onWarning });
  if (protocol === "segmentation") {
    const [train, test] = await openBoth(openSegmentation, data, testData, options(seed), options(seed + 1));
    return judgingOf<SegmentationKind>(gpu, request, train, test, {
      train: trainSegmentation,
      collect: () => confusions(test),
    });
  }
  const masks = protocol === "instances";
  const open = (spec: string, options: { imageSize: number; seed: number }) =>
    openInstances(spec, masks, options);
  const [train, test] = await openBoth(open, data, testData, options(seed), options(seed + 1));
  return judgingOf<DetectionKind>(gpu, request, train, test, {
    train: trainDetection,
    collect: () => found(test, masks ? "mask" : "box"),
  });
}

async function openBoth<Source extends { release(): void }, Options>(
  open: (spec: string, options: Options) => Promise<Source>,
  data: string,
  testData: string,
  ...[ofTrain, ofTest]: [Options, Options]
): Promise<[Source, Source]> {
  const train = await open(data, ofTrain);
  try {
    return [train, await open(testData, ofTest)];
  } catch (error) {
    train.release();
    throw error;
  }
}

function judgingOf<Kind extends DenseKind>(
  gpu: Gpu,
  { head, config, data, record, kept }: DenseJudgingRequest,
  train: DenseSource<Kind["target"]>,
  test: DenseSource<Kind["target"]>,
  task: DenseTest<Kind>,
): Judging {
  const { epochs, batch, seed: firstSeed } = config.training;
  const [trainImages, testImages] = [train.images.length, test.images.length];
  return {
    facts: { head, trainImages, testImages, epochs, batch },
    testImages,
    async open(checkpoint, seed) {
      const opened = await openEncoder(gpu, checkpoint, "encoder_q");
      return {
        async outcomeOf(architecture: Architecture, signal: AbortSignal) {
          const model = await cutBackbone(gpu, opened, architecture, { source: data, record });
          const { onPrediction, outcome } = task.collect();
          const own = { ...config, training: { ...config.training, seed: firstSeed + seed } };
          const about = JSON.stringify({ arch: formatArchitecture(architecture), seed, config });
          const trained = await task.train(
            gpu,
            { model, head, config: own, train, test, kept: { path: kept, about } },
            { ...silent, signal, onPrediction },
          );
          if (!trained) throw signal.reason;
          trained.objective.release();
          await removeFile(kept);
          return outcome();
        },
        release: () => opened.encoder.release(),
      };
    },
    release() {
      train.release();
      test.release();
    },
  };
}

/** Subnets are judged by their last test alone. */
const silent = {
  onStart: () => Promise.resolve(),
  evaluated: () => Promise.resolve(false),
  onSteps() {},
  onEvaluation() {},
  append: () => Promise.resolve(),
};

/** Pixels of each image by true and predicted class. */
function confusions(test: SegmentationSource): ReturnType<DenseTest<SegmentationKind>["collect"]> {
  const classes = test.classes.length;
  const counts = new Map<number, number[]>();
  return {
    async onPrediction(index, predicted) {
      const { values }: LabelTarget = await test.target(index);
      const confusion = new PixelConfusion(classes, ignoredClass);
      confusion.add(values, predicted, test.name);
      counts.set(index, [...confusion.counts]);
    },
    outcome: () => ({ kind: "pixels", classes, counts: inOrder(counts) }),
  };
}

/** Detections of each image against its objects. */
function found(
  test: InstanceSource,
  kind: "box" | "mask",
): ReturnType<DenseTest<DetectionKind>["collect"]> {
  const images = new Map<number, { truth: TrueObject[]; detections: readonly DetectedObject[] }>();
  return {
    async onPrediction(index, detections) {
      const target: InstanceTarget = await test.target(index);
      // With a box a result has its box's area, also where masks are measured: sizes of masks are their own.
      const own = kind === "mask" ? detections.map(({ box: _, ...rest }) => rest) : detections;
      images.set(target.imageId, { truth: trueObjects(target, test.classes), detections: own });
    },
    outcome() {
      const all = inOrder(images);
      const matches = matchDetections(
        all.flatMap(({ truth }) => truth),
        all.flatMap(({ detections }) => detections),
        { kind, images: [...images.keys()], categories: test.classes.map(({ id }) => id) },
      );
      return { kind: "objects", matches: packMatches(matches) };
    },
  };
}

function inOrder<T>(byId: ReadonlyMap<number, T>): T[] {
  return [...byId].sort(([a], [b]) => a - b).map(([, value]) => value);
}
