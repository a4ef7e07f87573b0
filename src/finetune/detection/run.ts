/** Trains a detector. */
import type { InstanceTarget } from "../../data/dense/target.ts";
import { tapNames } from "../../elastic/network.ts";
import { UsageError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Network } from "../../nn/network.ts";
import type { ObjectMetrics } from "../../store/metrics.ts";
import { Detection } from "../../train/detection/detection.ts";
import {
  type DenseDefinition,
  type DenseHooks,
  type DenseKind,
  type DenseRequest,
  type DenseTask,
  trainDense,
  type TrainedDense,
} from "../dense/run.ts";
import { type DensePlan, planDense, type PlanHooks, type PlanRequest } from "../plan/plan.ts";
import { DrawnObjects } from "./batches.ts";
import { type DetectionMetrics, evaluateDetection, type OnDetections } from "./evaluate.ts";
import { imaginedObjects } from "./imagined.ts";
import { type DetectionHead, detectorSettings } from "./settings.ts";

/** Detection with or without masks, as a task that is trained. */
export interface DetectionKind extends DenseKind {
  readonly target: InstanceTarget;
  readonly head: DetectionHead;
  readonly objective: Detection;
  readonly metrics: DetectionMetrics;
  readonly line: ObjectMetrics;
  readonly onPrediction: OnDetections;
}

/** The numbers that are told first. */
export function averagePrecisions({ boxes, masks }: DetectionMetrics): Omit<ObjectMetrics, "step" | "epoch"> {
  return {
    boxAP: boxes.AP,
    boxAP50: boxes.AP50,
    boxAP75: boxes.AP75,
    ...masks && { maskAP: masks.AP, maskAP50: masks.AP50, maskAP75: masks.AP75 },
  };
}

/** @throws {UsageError} for a network with fewer maps than a pyramid has */
export function expectPyramid(network: Network): void {
  const taps = tapNames(network);
  if (taps.length >= 4) return;
  throw new UsageError(
    `A detector reads the last four maps of a network; this one has ${taps.length}: ${taps.join(", ")}.`,
  );
}

function taskOf(
  { model, head, config: { detection, training: { seed } }, train }: DenseDefinition<DetectionKind>,
): DenseTask<DetectionKind> {
  return {
    build(gpu) {
      expectPyramid(model.network);
      return new Detection(gpu, model.network, {
        settings: detectorSettings(head, train.classes.length, detection),
        frozenBatchnorm: detection.frozenBatchnorm,
        seed,
      });
    },
    headWeights: "^(backbone\\.fpn|rpn|roi_heads)\\.",
    antialias: detection.antialias,
    imagined: imaginedObjects(detection),
    batches: (photos, { encoder }) => new DrawnObjects(photos, detection, encoder.stride, seed),
    evaluate: ({ encoder }, views, indices, signal, onDetections) =>
      evaluateDetection(encoder, views, indices, detection, signal, onDetections),
    summary: averagePrecisions,
  };
}

/**
 * Trains, goes on where a kept training stopped, and tests; see {@linkcode trainDense}.
 *
 * @throws {UsageError} for a network with fewer maps than a pyramid has
 */
export function trainDetection(
  gpu: Gpu,
  request: DenseRequest<DetectionKind>,
  hooks: DenseHooks<DetectionKind>,
): Promise<TrainedDense<DetectionKind> | undefined> {
  return trainDense(gpu, request, taskOf(request), hooks);
}

/**
 * Plans such a training; see {@linkcode planDense}.
 *
 * @throws {UsageError} for a network with fewer maps than a pyramid has
 */
export function planDetection(
  gpu: Gpu,
  request: PlanRequest<DetectionKind>,
  hooks: PlanHooks,
): Promise<DensePlan> {
  return planDense(gpu, request, taskOf(request), hooks);
}
