/** Judging a network by what it becomes: it is trained with a classifier on labelled images, and tested on others. */
import { expectFiniteFeatures } from "../../evaluate/linear.ts";
import { labelledFeatures } from "../../extract/labelled_images.ts";
import type { PlainModel } from "../../extract/model.ts";
import { fineTuneOnGrid } from "../../finetune/grid.ts";
import { classOfRow } from "../../finetune/predictions.ts";
import { openTrainingViews } from "../../finetune/training_images.ts";
import { tunedModel } from "../../finetune/tuned_model.ts";
import type { Gpu } from "../../gpu/device.ts";
import { digest, sha256Hex } from "../../store/digest.ts";
import type { EvaluateHooks, EvaluateRequest } from "./request.ts";
import type { EvaluationImages } from "./images.ts";
import type { JudgedImages, TuningProtocol } from "./protocols.ts";
import type { Subject } from "./subjects.ts";

/** Tells a model's weights from others. */
async function weightsIdentity({ weights }: PlainModel): Promise<string> {
  const digests: string[] = [];
  for (const [name, { data }] of weights) {
    digests.push(name, await sha256Hex(data as Float32Array<ArrayBuffer>));
  }
  return await digest(digests.join(" "));
}

/** Classes of the test images by the fine-tuned network. */
export async function tunedPredictions(
  gpu: Gpu,
  { calibrate, seed }: EvaluateRequest,
  protocol: TuningProtocol,
  subject: Subject,
  images: EvaluationImages,
  hooks: EvaluateHooks,
): Promise<JudgedImages> {
  const { bank, queries, classes, data, dataSeed, identity } = images;
  const { settings } = protocol;
  const model = await subject.plain();
  const indices = protocol.subset(bank.labels, bank.indices);
  const path = hooks.checkpointOf?.(subject);
  const training = await openTrainingViews(gpu, {
    data,
    input: subject.input,
    dataSeed,
    seed,
    pool: indices,
    onWarning: hooks.onWarning,
  });
  if (bank.source.kind === "tensor") {
    hooks.onWarning(
      `${bank.source.name} holds ready-made inputs: they are trained on as they are, without crops and flips.`,
    );
  }
  try {
    const tuned = await fineTuneOnGrid(gpu, {
      model,
      classes: classes.length,
      views: training.views,
      shown: training.shown,
      labels: bank.labels,
      indices,
      settings,
      evaluation: bank,
      calibrate,
      checkpoint: path === undefined ? undefined : {
        path,
        about: JSON.stringify({
          arch: subject.arch,
          weights: await weightsIdentity(model),
          images: identity,
          settings,
          fraction: protocol.fraction,
        }),
      },
    }, {
      signal: hooks.signal,
      onPart: hooks.onPart,
      onDiverged: ({ learningRate, headFactor }) =>
        hooks.onWarning(
          `${subject.arch}: fine-tuning diverged with the learning rate ${learningRate} and the head factor ` +
            `${headFactor}, which are left out of the choice.`,
        ),
    });
    using state = tuned.state;
    using statistics = tuned.statistics;
    const { encoder } = state.objective;
    const { max } = encoder.network.space;
    const logits = await labelledFeatures(encoder, max, statistics, queries, "projection");
    expectFiniteFeatures(logits);
    const rows = Array.from({ length: logits.rows }, (_, row) => classOfRow(logits, row));
    if (hooks.onTuned) {
      const calibration = { images: Math.min(calibrate, bank.indices.length), source: bank.source.name };
      await hooks.onTuned(subject, await tunedModel(tuned, classes, calibration));
    }
    const validation = tuned.validated.flatMap(({ accuracy }) => accuracy ?? []);
    return {
      predictions: Int32Array.from(rows, ({ label }) => label),
      confidences: Float64Array.from(rows, ({ probability }) => probability),
      labels: logits.labels,
      indices: logits.indices,
      chosen: {
        ...tuned.rates,
        ...validation.length > 0 && { validationAccuracy: Math.max(...validation) },
      },
    };
  } finally {
    training.release();
  }
}
