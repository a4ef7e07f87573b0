/** Trains a segmentation. */
import { ignoredClass, type LabelTarget } from "../../data/dense/target.ts";
import type { SegmentationMetrics } from "../../evaluate/segmentation.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { PixelMetrics } from "../../store/metrics.ts";
import { withOutputStride } from "../../nn/output_stride.ts";
import { Segmentation } from "../../train/segmentation/segmentation.ts";
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
import { LabelledCrops } from "./batches.ts";
import { evaluateSegmentation, type OnPrediction } from "./evaluate.ts";
import { imaginedLabels } from "./imagined.ts";
import { type SegmentationHead, segmentationHead } from "./network.ts";

/** Segmentation, as a task that is trained. */
export interface SegmentationKind extends DenseKind {
  readonly target: LabelTarget;
  readonly head: SegmentationHead;
  readonly objective: Segmentation;
  readonly metrics: SegmentationMetrics;
  readonly line: PixelMetrics;
  readonly onPrediction: OnPrediction;
}

function taskOf(
  { model, head, config: { segmentation, training: { seed } }, train }: DenseDefinition<SegmentationKind>,
): DenseTask<SegmentationKind> {
  const classes = train.classes.length;
  return {
    build(gpu) {
      const network = withOutputStride(model.network, segmentation.outputStride);
      return new Segmentation(gpu, network, segmentationHead(network, head, classes, segmentation), {
        auxiliaryWeight: segmentation.auxiliaryWeight,
        mean: segmentation.mean,
        ignore: ignoredClass,
        seed,
      });
    },
    headWeights: "^(aux_)?classifier\\.",
    antialias: true,
    imagined: imaginedLabels(segmentation),
    batches: (photos) => new LabelledCrops(photos, segmentation, seed),
    async evaluate({ encoder }, views, indices, signal, onPrediction) {
      const { scale } = segmentation;
      return (await evaluateSegmentation(encoder, views, indices, classes, scale, signal, onPrediction))
        .metrics();
    },
    summary: ({ mIoU, pixelAccuracy }) => ({ mIoU, pixelAccuracy }),
  };
}

/**
 * Trains, goes on where a kept training stopped, and tests; see {@linkcode trainDense}.
 *
 * @throws {ConfigurationError}, {@linkcode UsageError} for an output stride that the backbone cannot have
 */
export function trainSegmentation(
  gpu: Gpu,
  request: DenseRequest<SegmentationKind>,
  hooks: DenseHooks<SegmentationKind>,
): Promise<TrainedDense<SegmentationKind> | undefined> {
  return trainDense(gpu, request, taskOf(request), hooks);
}

/** Plans such a training; see {@linkcode planDense}. */
export function planSegmentation(
  gpu: Gpu,
  request: PlanRequest<SegmentationKind>,
  hooks: PlanHooks,
): Promise<DensePlan> {
  return planDense(gpu, request, taskOf(request), hooks);
}
