/** A correlation: subnets are scored without labels and judged with them, one after the other; what is done is kept. */
import { type Architecture, formatArchitecture } from "../../elastic/architecture.ts";
import { macs, parameters, roundGroupSize } from "../../elastic/costs.ts";
import { featureChannels } from "../../elastic/network.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Encoder } from "../../nn/encoder.ts";
import type { ElasticResNet } from "../../nn/resnet.ts";
import { openEncoder } from "../../pretrain/encoder_file.ts";
import type { SearchImages } from "../../search/scoring.ts";
import type { Task } from "../../search/places.ts";
import { fittingImages } from "../../search/zero_cost/naswot.ts";
import { naswotImages, scoreUntrained } from "../../search/zero_cost/zero_cost.ts";
import { analyse, type Analysis, type EvaluatedSubnet } from "./analysis.ts";
import type { Judging } from "./judging.ts";
import { worthOf } from "./outcome.ts";
import { type CorrelateProtocol, protocolWords } from "./protocols.ts";
import type { SavedCorrelation } from "./saved.ts";
import { scoreSubnets, scorings } from "./scores.ts";

/** What is correlated. */
export interface CorrelateRequest {
  /** Checkpoints of the same configuration, one for each seed; the scores are those of the first. */
  readonly checkpoints: readonly string[];
  readonly architectures: readonly Architecture[];
  readonly task: Task;
  /** The network as scores see it, at the output stride of {@linkcode CorrelateRequest.outputStride}. */
  readonly network: ElasticResNet;
  readonly outputStride: number;
  /** What candidates are scored on, and the sides of these images. */
  readonly images: SearchImages;
  readonly imageSize: number;
  /** What they are judged by. */
  readonly protocol: CorrelateProtocol;
  readonly judging: Judging;
  /** Of the bootstrap, and of untrained networks. */
  readonly seed: number;
  /** What was reached before, and is added to. */
  readonly saved: SavedCorrelation;
}

/** What a correlation tells while it runs. */
export interface CorrelateHooks {
  readonly signal: AbortSignal;
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
  /** Images of NASWOT's mini-batch. */
  readonly naswotImages: number;
}

/**
 * Correlates.
 *
 * @throws the signal's reason when it is interrupted; what was done is saved
 */
export async function correlate(
  gpu: Gpu,
  request: CorrelateRequest,
  hooks: CorrelateHooks,
): Promise<Correlated> {
  const { network, imageSize, architectures, protocol, saved } = request;
  await score(gpu, request, hooks);
  await judge(request, hooks);
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
      worth: saved.outcomes[protocol]!.map((outcomes) => worthOf(outcomes[arch])),
    };
  });
  const groupSize = roundGroupSize(network, imageSize);
  return {
    subnets,
    groupSize,
    naswotImages,
    ...analyse(subnets, { groupSize, seed: request.seed }),
  };
}

/** Fills in what is missing of the scores. */
async function score(gpu: Gpu, request: CorrelateRequest, hooks: CorrelateHooks): Promise<void> {
  const { checkpoints: [checkpoint], architectures, task, images, imageSize, saved } = request;
  const missing = scorings(task).filter(({ name }) => !(name in saved.scores));
  if (missing.length === 0) return;
  const encoders: Encoder[] = [];
  try {
    for (const name of ["encoder_q", "encoder_k"] as const) {
      encoders.push((await openEncoder(gpu, checkpoint, name, request.outputStride)).encoder);
    }
    const [student, teacher] = encoders;
    const given = { student, teacher, images, imageSize, task };
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
  { network, architectures, images, imageSize, seed, saved }: CorrelateRequest,
  hooks: CorrelateHooks,
): Promise<number> {
  const count = fittingImages(gpu, network, imageSize, Math.min(naswotImages, images.count));
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
  { checkpoints, architectures, protocol, judging, saved }: CorrelateRequest,
  hooks: CorrelateHooks,
) {
  const bySeed = saved.outcomes[protocol] ??= [];
  for (const [seed, checkpoint] of checkpoints.entries()) {
    const outcomes = bySeed[seed] ??= {};
    const missing = architectures.filter((architecture) => !(formatArchitecture(architecture) in outcomes));
    if (missing.length === 0) continue;
    const judge = await judging.open(checkpoint, seed);
    try {
      const { name } = protocolWords[protocol];
      hooks.onStage(checkpoints.length > 1 ? `${name}, seed ${seed + 1}` : name, missing.length, "subnets");
      for (const architecture of missing) {
        hooks.signal.throwIfAborted();
        outcomes[formatArchitecture(architecture)] = await judge.outcomeOf(architecture, hooks.signal);
        await hooks.save();
        hooks.onPart();
      }
    } finally {
      judge.release();
    }
  }
}
