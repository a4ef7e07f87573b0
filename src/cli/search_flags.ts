/** The flags of `deno task search`, and what they say together. */
import { UsageError } from "../errors.ts";
import type { CandidateFilter, Range } from "../search/candidates.ts";
import { defaultMetric, metrics, tasks } from "../search/places.ts";
import { batchnormModes } from "../search/runner.ts";
import type { RankRules } from "../search/rank_scores.ts";
import { preferences } from "../search/preference.ts";
import { fewestImages, type SimilarityOptions } from "../search/similarity/options.ts";
import { type ElasticNetwork, tapShapes } from "../elastic/network.ts";
import type { SearchSpace } from "../elastic/search_space.ts";
import { outputStrideOf, segmentationStride, withOutputStride } from "../nn/output_stride.ts";
import type { ElasticResNet } from "../nn/resnet.ts";
import { configFlags } from "./config_flags.ts";
import { dataFlag } from "./data_flag.ts";
import type { Flags, FlagValues } from "./flags.ts";
import { parseRange, parseTimeRange } from "./range.ts";
import { checkpointFlag } from "./run_checkpoint.ts";
import { checkShardFlags, givenFlags, shardOf } from "./search_shard_flags.ts";

const ckaSamples = ["images", "positions", "all-positions"] as const;
const defaultPerGroup = 100;
/** The fewest positions of a map that are compared by default. */
const fewestPositions = 16;

export const searchFlags = {
  run: { type: "string", placeholder: "DIR", description: "Run folder of a pretraining" },
  checkpoint: checkpointFlag,
  data: dataFlag("Unlabelled images to compare on", "the run's training images"),
  task: {
    type: "string",
    choices: tasks,
    default: "classification",
    description:
      "What the subnet is for, which decides about the features that are compared: classification the " +
      "projection (with cka also the pooled last stage), detection and instances the maps C2-C5, segmentation C4-C5",
  },
  outputStride: {
    type: "integer",
    placeholder: "N",
    minimum: 1,
    description:
      "Pixels of the image to one of the last map, as the head will see it: later stages are dilated in place of their " +
      `strides (default: for segmentation ${segmentationStride} or the network's own, if that is less; else its own)`,
  },
  imageSize: {
    type: "integer",
    placeholder: "N",
    minimum: 8,
    maximum: 4096,
    description: "Sides of the square images that features are compared on (default: the run's)",
  },
  stages: {
    type: "string",
    placeholder: "NAMES",
    description:
      "Features to compare in place of the task's, separated by commas: c2, c3, …, pooled, projection",
  },
  metric: {
    type: "string",
    choices: metrics,
    description: "Measure of similarity (default: cosine for classification, else affinity)",
  },
  ckaSamples: {
    type: "string",
    choices: ckaSamples,
    description:
      "What cka compares: images, positions of each image, or positions of all images (default: images)",
  },
  positions: {
    type: "integer",
    placeholder: "N",
    minimum: 1,
    description:
      "Positions of a map that are compared, at most, on a regular grid (default: as many as the last " +
      `stage's map has, at least ${fewestPositions})`,
  },
  images: { type: "integer", placeholder: "N", minimum: 2, default: 256, description: "Number of images" },
  batch: {
    type: "integer",
    placeholder: "N",
    minimum: 2,
    default: 64,
    description: "Images of a batch, at most; batch statistics are those of a batch",
  },
  batchnorm: {
    type: "string",
    choices: batchnormModes,
    default: "batch",
    description:
      "Statistics of batchnorm: those of each batch, or recalibrated on all images (twice the work, and the maps of all " +
      "images in memory)",
  },
  all: { type: "boolean", description: "Rank every architecture" },
  perGroup: {
    type: "integer",
    placeholder: "N",
    minimum: 1,
    description:
      `Rank N random architectures of each group of MACs (default: ${defaultPerGroup}, unless --arch is given)`,
  },
  arch: {
    type: "strings",
    placeholder: "ARCH",
    description: "Rank this architecture: max, min, a name from the configuration, or an id",
  },
  groupSize: {
    type: "quantity",
    placeholder: "MACS",
    description: "MACs per group, e.g. 1G (default: a round number that makes at most 16 groups)",
  },
  macs: {
    type: "string",
    placeholder: "FROM..TO",
    description: "Only architectures within these MACs, e.g. ..4G",
  },
  params: {
    type: "string",
    placeholder: "FROM..TO",
    description: "Only architectures within these parameters, e.g. 10M..25M",
  },
  latency: {
    type: "string",
    placeholder: "FROM..TO",
    description:
      "Only such groups' bests as take this long on this adapter for a single image, e.g. ..5ms or 2ms..5ms; candidates " +
      "are measured from the highest score down until one of each group does",
  },
  prefer: {
    type: "string",
    choices: preferences,
    description:
      "Of the candidates whose scores cannot be told from the highest of their group, take the cheapest as its best",
  },
  stem: { type: "string", placeholder: "FROM..TO", description: "Only stem widths within this range" },
  width: {
    type: "strings",
    placeholder: "STAGE=FROM..TO",
    description: "Only widths of a stage (from 1) within this range, e.g. 2=96..128",
  },
  depth: {
    type: "strings",
    placeholder: "STAGE=FROM..TO",
    description: "Only depths of a stage within this range, e.g. 3=..9",
  },
  seed: {
    type: "integer",
    placeholder: "N",
    minimum: 0,
    maximum: 0xffff_ffff,
    description: "Seed of the choice of images and architectures (default: the run's)",
  },
  memory: {
    type: "quantity",
    placeholder: "BYTES",
    description: "Most device memory, e.g. 2G; batches become smaller to fit",
  },
  out: {
    type: "string",
    placeholder: "DIR",
    description: "Folder for ranking.json, ranking.csv and report.html (default: search in the run folder)",
  },
  shard: {
    type: "string",
    placeholder: "I/N",
    description:
      "Score only part I, from 0, of N parts of the work, e.g. 0/4 to 3/4 on four machines; the folder is search-shard-I-of-N " +
      "in the run folder, for --merge",
  },
  merge: {
    type: "strings",
    list: true,
    placeholder: "DIR…",
    description:
      "Rank what all shards of a search scored, as one piece would be ranked; no image is opened. --prefer, --latency, --measure " +
      "and --measure-best go with it",
  },
  resume: { type: "boolean", description: "Continue an interrupted search of the same settings in --out" },
  measure: {
    type: "boolean",
    description:
      "Measure the time of each ranked architecture on this adapter, in milliseconds per image: of single images and of " +
      "batches, in several rounds",
  },
  measureBest: {
    type: "integer",
    placeholder: "N",
    minimum: 1,
    description:
      "Measure the best N of each group only; with --latency or --prefer latency, measure at most N of each group to " +
      "decide (default there: 32)",
  },
  dryRun: {
    type: "boolean",
    description:
      "Only say how much work it would be, and how long it would take here; --config may stand for --run",
  },
  config: {
    ...configFlags.config,
    default: undefined,
    description: "With --dry-run: configuration of a run",
  },
  profile: {
    type: "boolean",
    description: "Measure every kernel and print a table at the end; slows the search down",
  },
} as const satisfies Flags;

/** Values of {@linkcode searchFlags}. */
export type SearchFlags = FlagValues<typeof searchFlags>;

/** Checks the flags against each other. */
export function checkSearchFlags(flags: SearchFlags): void {
  const { run, config, dryRun, all, perGroup, images, batch, resume } = flags;
  const refuse = (message: string): never => {
    throw new UsageError(message);
  };
  if (config !== undefined && !dryRun) refuse("--config goes with --dry-run only. A search needs --run DIR.");
  if (run !== undefined && config !== undefined) refuse("--run and --config are given. Give one of them.");
  if (run === undefined && config === undefined) {
    refuse(
      `--run DIR is missing: ${searchFlags.run.description}${
        dryRun ? "; or --config F with --dry-run" : ""
      }.`,
    );
  }
  if (config !== undefined && flags.checkpoint !== undefined) {
    refuse("--checkpoint goes with --run, but --config is given. Leave --checkpoint out.");
  }
  if (all && perGroup !== undefined) refuse("--all and --per-group are given. Give one of them.");
  latencyOf(flags);
  if (shardOf(flags)) checkShardFlags(givenFlags(searchFlags, flags));
  if (dryRun && resume) refuse("--dry-run and --resume are given. Give one of them.");
  if (flags.ckaSamples !== undefined && metricOf(flags) !== "cka") {
    refuse("--cka-samples goes with --metric cka only.");
  }
  for (const [flag, value] of [["--images", images], ["--batch", batch]] as const) {
    const metric = metricOf(flags);
    const fewest = fewestImages(
      metric === "cka" ? { metric, samples: flags.ckaSamples ?? "images" } : { metric },
    );
    if (value >= fewest) continue;
    refuse(`${flag} ${value} is too few: --metric cka over images needs batches of ${fewest} or more.`);
  }
}

/** The time budget, in milliseconds for a single image. Throws {@linkcode UsageError} for a range that is none. */
export function latencyOf({ latency }: Pick<SearchFlags, "latency">): Range | undefined {
  return latency === undefined ? undefined : parseTimeRange("--latency", latency);
}

/** How the bests of groups are chosen, as flags say. */
export function rankRules(flags: SearchFlags): RankRules {
  const { prefer, measure, measureBest } = flags;
  return { prefer, latency: latencyOf(flags), measureBest: measureBest ?? (measure ? Infinity : 0) };
}

/** The metric that flags ask for. */
export function metricOf({ metric, task }: SearchFlags): SimilarityOptions["metric"] {
  return metric ?? defaultMetric(task);
}

/** The network as its features are compared: at the output stride that is asked for, or that the task's head would have. */
export function comparedNetwork(
  network: ElasticResNet,
  { task, outputStride }: Pick<SearchFlags, "task" | "outputStride">,
): ElasticResNet {
  const wanted = outputStride ??
    (task === "segmentation" ? Math.min(segmentationStride, outputStrideOf(network)) : undefined);
  return wanted === undefined ? network : withOutputStride(network, wanted, "--output-stride");
}

/** The metric with its settings, for networks that see images of this size. */
export function similarityOf(
  flags: SearchFlags,
  network: ElasticNetwork,
  imageSize: number,
): SimilarityOptions {
  const metric = metricOf(flags);
  const [, , height, width] = [...tapShapes(network, network.space.max, imageSize).values()].at(-1)!;
  const positions = flags.positions ?? Math.max(fewestPositions, height * width);
  if (metric === "cosine") return { metric };
  if (metric === "affinity") return { metric, positions };
  const samples = flags.ckaSamples ?? "images";
  return samples === "images" ? { metric, samples } : { metric, samples, positions };
}

/** Random architectures of each group, or undefined where all or only named ones are ranked. */
export function perGroupOf({ all, perGroup, arch }: SearchFlags): number | undefined {
  return all || (arch.length > 0 && perGroup === undefined) ? undefined : perGroup ?? defaultPerGroup;
}

/** Ranges by the names of the space's dimensions, e.g. `stage 2 width`. */
function parseStageRanges(
  flag: string,
  what: "width" | "depth",
  texts: readonly string[],
  stages: number,
): Map<string, Range> {
  const ranges = new Map<string, Range>();
  for (const text of texts) {
    const match = /^(\d+)=(.*)$/.exec(text);
    const stage = Number(match?.[1]);
    if (!match || !(stage >= 1 && stage <= stages)) {
      throw new UsageError(
        `${flag} cannot be "${text}". Allowed: STAGE=FROM..TO with a stage from 1 to ${stages}, e.g. 2=96..128.`,
      );
    }
    const name = `stage ${stage} ${what}`;
    if (ranges.has(name)) throw new UsageError(`${flag} is given twice for stage ${stage}. Give it once.`);
    ranges.set(name, parseRange(flag, match[2]));
  }
  return ranges;
}

/** The filters that flags ask for. Throws {@linkcode UsageError} for ranges that are none. */
export function filterOf(
  { macs, params, stem, width, depth }: SearchFlags,
  space: SearchSpace,
): CandidateFilter {
  const range = (flag: string, text: string | undefined) =>
    text === undefined ? undefined : parseRange(flag, text);
  return {
    macs: range("--macs", macs),
    params: range("--params", params),
    choices: new Map([
      ...(stem === undefined ? [] : [["stem width", parseRange("--stem", stem)] as const]),
      ...parseStageRanges("--width", "width", width, space.stages),
      ...parseStageRanges("--depth", "depth", depth, space.stages),
    ]),
  };
}
