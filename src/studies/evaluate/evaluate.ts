/** An evaluation: networks are judged by labels, one after the other, by one protocol, on the same images. */
import { macs, parameters } from "../../elastic/costs.ts";
import { confusionMatrix, perClassAccuracy, wilsonInterval } from "../../evaluate/classification.ts";
import type { Gpu } from "../../gpu/device.ts";
import { labelledPixels } from "../../extract/labelled_images.ts";
import type { ModelInput } from "../../extract/model.ts";
import { frozenPredictions } from "./frozen.ts";
import { type EvaluationImages, openEvaluationImages } from "./images.ts";
import { type JudgedImages, leastOfClass, type Protocol, vote } from "./protocols.ts";
import type { EvaluateHooks, EvaluateRequest, JudgedNetwork, MistakenImage } from "./request.ts";
import { expectClasses } from "./sound_images.ts";
import type { Subject } from "./subjects.ts";
import { tunedPredictions } from "./tuned.ts";

/** What an evaluation found. */
export interface Evaluation {
  readonly results: readonly JudgedNetwork[];
  /** Names of classes. */
  readonly classes: readonly string[];
  /** Images that classifiers were trained on, and that they were tested on. */
  readonly images: { readonly train: number; readonly test: number };
  readonly baselines: readonly { readonly name: string; readonly accuracy: number }[];
}

/** Mistakes that are kept of a network. */
const mostMistakes = 48;

/**
 * Evaluates.
 *
 * @param use lends the test images of the last network while they are open, e.g. for pictures
 * @throws the signal's reason when it is interrupted; networks that are judged were told
 * @throws {UsageError}, {@linkcode ConfigurationError}, {@linkcode DataError} for images that cannot be used
 */
export async function evaluate(
  gpu: Gpu,
  request: EvaluateRequest,
  hooks: EvaluateHooks,
  use: (found: Evaluation, images: EvaluationImages) => Promise<void>,
): Promise<Evaluation> {
  const { subjects, protocol } = request;
  const results: JudgedNetwork[] = [];
  let images: EvaluationImages | undefined, input: ModelInput | undefined;
  const opened = async (wanted: ModelInput): Promise<EvaluationImages> => {
    if (images && JSON.stringify(input) === JSON.stringify(wanted)) return images;
    images?.release();
    images = undefined;
    input = wanted;
    images = await openEvaluationImages(gpu, request.images, wanted, hooks.onWarning);
    expectClasses(images, images.classes, leastOfClass(protocol));
    if ("fraction" in protocol) {
      protocol.warnOfFew(images.bank.indices.length, images.classes.length, hooks.onWarning);
    }
    return images;
  };
  try {
    let trained = 0;
    for (const [number, subject] of subjects.entries()) {
      hooks.signal.throwIfAborted();
      const known = request.known.find(({ network, arch }) =>
        network === subject.network && arch === subject.arch
      );
      const given = await opened(subject.input);
      trained = trainedOn(protocol, given);
      if (known) {
        results.push(known);
        continue;
      }
      await hooks.onNetwork?.(subject, number, subjects.length);
      const judged = await judge(gpu, request, subject, given, hooks);
      results.push(judged);
      await hooks.onJudged(judged);
    }
    const given = images!;
    const baselines = request.baselines && (protocol.kind === "knn" || protocol.kind === "linear")
      ? [{
        name: "raw pixels",
        accuracy: await vote(gpu, protocol, {
          train: await labelledPixels(given.bank),
          test: await labelledPixels(given.queries),
        }, hooks.signal).then(({ accuracy }) => accuracy),
      }]
      : [];
    const found = {
      results,
      classes: given.classes,
      images: { train: trained, test: given.queries.indices.length },
      baselines,
    };
    await use(found, given);
    return found;
  } finally {
    images?.release();
  }
}

function trainedOn(protocol: Protocol, { bank: { indices, labels } }: EvaluationImages): number {
  return "fraction" in protocol ? protocol.subset(labels, indices).length : indices.length;
}

async function judge(
  gpu: Gpu,
  request: EvaluateRequest,
  subject: Subject,
  images: EvaluationImages,
  hooks: EvaluateHooks,
): Promise<JudgedNetwork> {
  const { network, arch, encoder, architecture, input } = subject;
  const { protocol } = request;
  const found = protocol.kind === "knn" || protocol.kind === "linear"
    ? await frozenPredictions(gpu, request, protocol, subject, images, hooks.signal)
    : await tunedPredictions(gpu, request, protocol, subject, images, hooks);
  const { predictions, labels, chosen, untrained } = found;
  const confusion = confusionMatrix(labels, predictions, images.classes.length);
  const right = labels.reduce((sum, label, row) => sum + Number(label === predictions[row]), 0);
  return {
    network,
    arch,
    macs: macs(encoder.network, architecture, input.imageSize),
    params: parameters(encoder.network, architecture),
    accuracy: right / labels.length,
    interval: wilsonInterval(right, labels.length),
    perClass: perClassAccuracy(confusion),
    confusion,
    chosen,
    ...untrained !== undefined && { untrained },
    mistakes: mistakesOf(found),
  };
}

/** The images that were given a wrong class, the surest first. */
export function mistakesOf(
  { predictions, confidences, labels, indices }: Omit<JudgedImages, "chosen">,
): MistakenImage[] {
  const wrong = [...labels.keys()].filter((row) => predictions[row] !== labels[row]);
  return wrong.sort((a, b) => confidences[b] - confidences[a]).slice(0, mostMistakes).map((row) => ({
    index: indices[row],
    actual: labels[row],
    predicted: predictions[row],
    confidence: confidences[row],
  }));
}
