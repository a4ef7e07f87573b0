/** A correlation: subnets are scored without labels and judged with them, one after the other; what is done is kept. */
import { sourceName } from "../../config/data_source.ts";
import type { Config } from "../../config/schema.ts";
import { type Architecture, formatArchitecture } from "../../elastic/architecture.ts";
import { macs, parameters, roundGroupSize } from "../../elastic/costs.ts";
import { featureChannels } from "../../elastic/network.ts";
import { UsageError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { configuredNetwork } from "../../nn/configured_network.ts";
import type { Encoder } from "../../nn/encoder.ts";
import { openEncoder } from "../../pretrain/encoder_file.ts";
import { openRunData } from "../../pretrain/run_data.ts";
import type { SearchImages } from "../../search/rank_subnets.ts";
import type { Task } from "../../search/places.ts";
import { fittingImages } from "../../search/zero_cost/naswot.ts";
import { naswotImages, scoreUntrained } from "../../search/zero_cost/zero_cost.ts";
import type { DataRecord } from "../../store/data_record.ts";
import { Judge, type Protocol, protocolNames } from "../judge.ts";
import { analyse, type Analysis, type EvaluatedSubnet } from "./analysis.ts";
import type { SavedCorrelation } from "./saved.ts";
import { scoreSubnets, scorings } from "./scores.ts";

/** What is correlated. */
export interface CorrelateRequest {
  /** Checkpoints of the same configuration, one for each seed; the scores are those of the first. */
  readonly checkpoints: readonly string[];
  readonly architectures: readonly Architecture[];
  readonly task: Task;
  /** What they are judged by. */
  readonly protocol: Protocol;
  /** What candidates are scored on. */
  readonly images: SearchImages;
  /** The configuration with labelled images that classify and labelled images that are classified. */
  readonly evaluation: Config;
  /** Of the run, where those are its own images. */
  readonly record: DataRecord | undefined;
  /** Of the bootstrap, and of untrained networks. */
  readonly seed: number;
  /** What was reached before, and is added to. */
  readonly saved: SavedCorrelation;
}

/** What a correlation tells while it runs. */
export interface CorrelateHooks {
  readonly signal: AbortSignal;
  onWarning(text: string): void;
  /** Something is about to begin that has so many parts. */
  onStage(label: string, total: number, unit: string): void;
  onPart(): void;
  /** Keeps {@linkcode CorrelateRequest.saved}. */
  save(): Promise<void>;
}

/** What a correlation found. */
export interface Correlated extends Analysis {
  readonly subnets: readonly EvaluatedSubnet[];
  /** MACs of a group. */
  readonly groupSize: number;
  /** Labelled images that vote, and those that are classified. */
  readonly bank: number;
  readonly queries: number;
  /** Images of NASWOT's mini-batch. */
  readonly naswotImages: number;
}

/**
 * Correlates.
 *
 * @throws the signal's reason when it is interrupted; what was done is saved
 * @throws {UsageError} without labelled images to judge by
 */
export async function correlate(
  gpu: Gpu,
  request: CorrelateRequest,
  hooks: CorrelateHooks,
): Promise<Correlated> {
  const { evaluation, architectures, protocol, saved } = request;
  const network = configuredNetwork(evaluation);
  const { imageSize } = evaluation.data;
  await score(gpu, request, hooks);
  const { bank, queries } = await judge(gpu, request, hooks);
  const naswotImages = await scoreWithoutTraining(gpu, request, hooks);
  const subnets = architectures.map((architecture): EvaluatedSubnet => {
    const arch = formatArchitecture(architecture);
    return {
      arch,
      macs: macs(network, architecture, imageSize),
      params: parameters(network, architecture),
      lastWidth: featureChannels(network, architecture),
      scores: Object.fromEntries(Object.entries(saved.scores).map(([name, scores]) => [name, scores[arch]])),
      zeroCost: saved.zeroCost[arch],
      right: saved.right[protocol]!.map((right) => right[arch]),
    };
  });
  const groupSize = roundGroupSize(network, imageSize);
  return {
    subnets,
    groupSize,
    bank,
    queries,
    naswotImages,
    ...analyse(subnets, { groupSize, seed: request.seed }),
  };
}

/** Fills in what is missing of the scores. */
async function score(gpu: Gpu, request: CorrelateRequest, hooks: CorrelateHooks): Promise<void> {
  const { checkpoints: [checkpoint], architectures, task, images, evaluation, saved } = request;
  const missing = scorings(task).filter(({ name }) => !(name in saved.scores));
  if (missing.length === 0) return;
  const encoders: Encoder[] = [];
  try {
    for (const name of ["encoder_q", "encoder_k"] as const) {
      encoders.push((await openEncoder(gpu, checkpoint, name)).encoder);
    }
    const [student, teacher] = encoders;
    const given = { student, teacher, images, imageSize: evaluation.data.imageSize, task };
    hooks.onStage("score", missing.length, "ways");
    for (const scoring of missing) {
      const { signal } = hooks;
      const scores = await scoreSubnets(gpu, given, architectures, scoring, { signal });
      if (!scores) throw signal.reason;
      saved.scores[scoring.name] = scores;
      await hooks.save();
      hooks.onPart();
    }
  } finally {
    for (const encoder of encoders) encoder.release();
  }
}

/** Fills in what is missing of the zero-cost scores; returns the number of images that they take. */
async function scoreWithoutTraining(
  gpu: Gpu,
  { architectures, images, evaluation, seed, saved }: CorrelateRequest,
  hooks: CorrelateHooks,
): Promise<number> {
  const network = configuredNetwork(evaluation);
  const count = fittingImages(
    gpu,
    network,
    evaluation.data.imageSize,
    Math.min(naswotImages, images.count),
  );
  const missing = architectures.filter((architecture) =>
    !(formatArchitecture(architecture) in saved.zeroCost)
  );
  if (missing.length === 0) return count;
  using batch = await images.load(0, count);
  hooks.onStage("zero-cost scores", missing.length, "subnets");
  for (const architecture of missing) {
    hooks.signal.throwIfAborted();
    saved.zeroCost[formatArchitecture(architecture)] = await scoreUntrained(
      gpu,
      network,
      architecture,
      batch,
      seed,
    );
    await hooks.save();
    hooks.onPart();
  }
  return count;
}

/** Fills in what is missing of the downstream results. */
async function judge(
  gpu: Gpu,
  { checkpoints, architectures, protocol, evaluation, record, saved }: CorrelateRequest,
  hooks: CorrelateHooks,
): Promise<{ bank: number; queries: number }> {
  const earlier = record && { record, acceptChanges: false };
  const data = await openRunData(gpu, evaluation, { onWarning: hooks.onWarning }, earlier);
  try {
    const { knn } = data;
    if (!knn) {
      throw new UsageError(
        `There are no labelled images to judge subnets by: ${
          sourceName(evaluation.data.source)
        } has no labels, or the run held none out.`,
        { about: "labels" },
      );
    }
    const bySeed = saved.right[protocol] ??= [];
    for (const [seed, checkpoint] of checkpoints.entries()) {
      const right = bySeed[seed] ??= {};
      const missing = architectures.filter((architecture) => !(formatArchitecture(architecture) in right));
      if (missing.length === 0) continue;
      const { encoder } = await openEncoder(gpu, checkpoint, "encoder_q");
      try {
        const { space } = encoder.network;
        const judge = new Judge({ gpu, space, encoder }, evaluation, knn);
        const name = protocolNames[protocol];
        hooks.onStage(checkpoints.length > 1 ? `${name}, seed ${seed + 1}` : name, missing.length, "subnets");
        for (const architecture of missing) {
          hooks.signal.throwIfAborted();
          const judged = await judge.rightOf(architecture, [protocol], hooks.signal);
          right[formatArchitecture(architecture)] = judged[protocol];
          await hooks.save();
          hooks.onPart();
        }
      } finally {
        encoder.release();
      }
    }
    return { bank: knn.bank.indices.length, queries: knn.queries.indices.length };
  } finally {
    data.release();
  }
}
