/** Judging a network as it is: its features are computed once, and a classifier is trained on them. */
import type { Architecture } from "../../elastic/architecture.ts";
import { labelledFeatures, recalibrateOn } from "../../extract/labelled_images.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Encoder } from "../../nn/encoder.ts";
import type { KnnImages } from "../../pretrain/run_data.ts";
import type { EvaluateRequest } from "./request.ts";
import { type FrozenProtocol, type JudgedImages, vote } from "./protocols.ts";
import { type Subject, untrained as untrainedOf } from "./subjects.ts";

/** Classes of the test images by a classifier on frozen features. */
export async function frozenPredictions(
  gpu: Gpu,
  { calibrate, keepCalibration, seed, baselines }: EvaluateRequest,
  protocol: FrozenProtocol,
  subject: Subject,
  images: KnnImages,
  signal: AbortSignal,
): Promise<JudgedImages> {
  const { encoder, architecture, calibrated } = subject;
  const own = calibrated && keepCalibration ? 0 : calibrate;
  const features = await featuresOf(encoder, architecture, protocol, images, own, seed);
  const { test } = features;
  const { predictions, confidences, chosen } = await vote(gpu, protocol, features, signal);
  const judged = { predictions, confidences, chosen, labels: test.labels, indices: test.indices };
  if (!baselines) return judged;
  using fresh = await untrainedOf(subject, seed);
  const without = await featuresOf(fresh, architecture, protocol, images, calibrate, seed);
  const { accuracy } = await vote(gpu, protocol, without, signal);
  return { ...judged, untrained: accuracy };
}

async function featuresOf(
  encoder: Encoder,
  architecture: Architecture,
  protocol: FrozenProtocol,
  { bank, queries }: KnnImages,
  calibrate: number,
  seed: number,
) {
  const kind = protocol.kind === "knn" ? protocol.features : "pooled";
  const taken = calibrate === 0
    ? undefined
    : await recalibrateOn(encoder, architecture, bank, calibrate, seed);
  try {
    const statistics = taken ?? encoder.statistics;
    return {
      train: await labelledFeatures(encoder, architecture, statistics, bank, kind),
      test: await labelledFeatures(encoder, architecture, statistics, queries, kind),
    };
  } finally {
    taken?.release();
  }
}
