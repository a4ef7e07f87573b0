/** Trains a segmentation. */
import { ignoredClass, type LabelTarget } from "../../data/dense/target.ts";
import type { SegmentationMetrics } from "../../evaluate/segmentation.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { PixelMetrics } from "../../store/metrics.ts";
import { Segmentation } from "../../train/segmentation/segmentation.ts";
import {
  type DenseHooks,
  type DenseRequest,
  type DenseTask,
  trainDense,
  type TrainedDense,
} from "../dense/run.ts";
import { LabelledCrops } from "./batches.ts";
import { evaluateSegmentation, type OnPrediction } from "./evaluate.ts";
import { type SegmentationHead, segmentationHead, withOutputStride } from "./network.ts";

/** What is trained on what. */
export type SegmentationRequest = DenseRequest<LabelTarget, SegmentationHead>;

/** What a segmentation tells. */
export type SegmentationHooks = DenseHooks<PixelMetrics, OnPrediction>;

/** A segmentation that was trained; the caller releases its objective. */
export type TrainedSegmentation = TrainedDense<Segmentation, SegmentationMetrics>;

function taskOf(
  { model, head, config: { segmentation, training: { seed } }, train }: SegmentationRequest,
): DenseTask<LabelTarget, Segmentation, SegmentationMetrics, PixelMetrics, OnPrediction> {
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
  request: SegmentationRequest,
  hooks: SegmentationHooks,
): Promise<TrainedSegmentation | undefined> {
  return trainDense(gpu, request, taskOf(request), hooks);
}
