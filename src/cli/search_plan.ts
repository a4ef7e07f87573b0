/** `deno task search --dry-run`: how much work a search is, and how long it would take on this adapter. */
import { formatDuration } from "../duration.ts";
import type { Config } from "../config/schema.ts";
import { GpuError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Encoder } from "../nn/encoder.ts";
import { configuredHeads } from "../pretrain/objective.ts";
import { measureRate } from "../search/rate.ts";
import { formatShard, type ShardOf, splitCandidates } from "../search/split.ts";
import { buildTree, countWork, type PrefixTree, type TreeWork } from "../search/tree.ts";
import { macs } from "../elastic/costs.ts";
import { openDevice } from "./device.ts";
import { formatCount, formatQuantity, formatShare, formatTable } from "./format.ts";
import type { Logger } from "./logger.ts";

/** What a dry run says. */
export interface SearchPlan {
  readonly candidates: number;
  readonly images: number;
  /** Runs of a residual block for one batch. */
  readonly blocks: TreeWork["blocks"];
  /** MACs for one image, without the teacher. */
  readonly macsPerImage: TreeWork["macs"];
  /** MACs for one image of the teacher. */
  readonly teacherMacs: number;
  /** Measured; null where there is no adapter. */
  readonly macsPerSecond: number | null;
  /** Estimated time of the search, and of evaluating each candidate alone. */
  readonly seconds: { readonly tree: number; readonly alone: number } | null;
  /** With `--shard`: which one is asked for, and the work of all. */
  readonly shards?: ShardOf & { readonly parts: readonly ShardPlan[] };
}

/** The work of one shard, as far as it is not the teacher's, which each runs. */
export interface ShardPlan {
  readonly candidates: number;
  /** Runs of a residual block for one batch. */
  readonly blocks: number;
  /** MACs for one image. */
  readonly macsPerImage: number;
  /** Estimated time; null where there is no adapter. */
  readonly seconds: number | null;
}

/** What is planned. */
interface PlanRequest {
  readonly images: number;
  readonly batch: number;
  /** Runs of each unit: 2 where batchnorm is recalibrated. */
  readonly passes: number;
  readonly shard: ShardOf | undefined;
  readonly logger: Logger;
}

/** Counts the work, and measures the rate where there is an adapter. */
export async function planSearch(
  config: Config,
  tree: PrefixTree,
  { images, batch, passes, shard, logger }: PlanRequest,
): Promise<SearchPlan> {
  const { network } = tree;
  const { imageSize } = config.data;
  const work = countWork(imageSize, tree);
  const rate = await probe(config, tree, Math.min(batch, images), logger);
  const teacherMacs = macs(network, network.space.max, imageSize);
  const seconds = (perImage: number) =>
    rate === undefined ? null : (perImage + teacherMacs) * images * passes / rate;
  return {
    candidates: tree.candidates.length,
    images,
    blocks: work.blocks,
    macsPerImage: work.macs,
    teacherMacs,
    macsPerSecond: rate ?? null,
    seconds: rate === undefined ? null : { tree: seconds(work.macs.tree)!, alone: seconds(work.macs.alone)! },
    ...(shard && { shards: { ...shard, parts: planShards(tree, imageSize, shard.count, seconds) } }),
  };
}

function planShards(
  tree: PrefixTree,
  imageSize: number,
  count: number,
  seconds: (macsPerImage: number) => number | null,
): ShardPlan[] {
  return splitCandidates(tree, imageSize, count).map((candidates) => {
    const { blocks, macs } = countWork(imageSize, buildTree(tree.network, candidates, tree.places));
    return {
      candidates: candidates.length,
      blocks: blocks.tree,
      macsPerImage: macs.tree,
      seconds: seconds(macs.tree),
    };
  });
}

async function probe(
  config: Config,
  { network, candidates }: PrefixTree,
  batch: number,
  logger: Logger,
): Promise<number | undefined> {
  let gpu: Gpu;
  try {
    gpu = await openDevice(logger);
  } catch (error) {
    if (!(error instanceof GpuError)) throw error;
    logger.warn(`there is no adapter to measure a rate on, so that no time is estimated: ${error.message}`);
    return undefined;
  }
  try {
    logger.info(`measuring one of the candidates on ${gpu.facts.description}`);
    const encoder = new Encoder(gpu, network, configuredHeads(network, config)[0], false);
    const middle = candidates[candidates.length >> 1];
    return await measureRate(gpu, encoder, middle, config.data.imageSize, batch);
  } finally {
    gpu.release();
  }
}

/** The plan for people. */
export function formatPlan(plan: SearchPlan): string {
  const { candidates, images, blocks, macsPerImage, teacherMacs, macsPerSecond, seconds } = plan;
  const row = (name: string, part: "alone" | "tree") => [
    name,
    formatCount(blocks[part]),
    formatQuantity(macsPerImage[part]),
    seconds ? formatDuration(seconds[part]) : "-",
  ];
  const factor = macsPerImage.alone / macsPerImage.tree;
  return [
    `${formatCount(candidates)} candidates on ${formatCount(images)} images`,
    "",
    formatTable([
      ["", "blocks a batch", "MACs an image", "time"],
      row("each alone", "alone"),
      row("with shared prefixes", "tree"),
    ], "lrrr"),
    "",
    `Shared prefixes save ${formatCount(blocks.alone - blocks.tree)} block evaluations a batch and ` +
    `${formatShare(1 - 1 / factor)} of the MACs (${factor.toFixed(1)} times fewer). ` +
    `The teacher adds ${formatQuantity(teacherMacs)} MACs an image.`,
    macsPerSecond === null
      ? "No adapter: no time is estimated."
      : `Measured here: ${formatQuantity(macsPerSecond)}MAC/s. Times leave the comparison of features out.`,
    ...(plan.shards ? ["", formatShards(plan, plan.shards)] : []),
  ].join("\n");
}

function formatShards(
  { macsPerImage: { tree } }: SearchPlan,
  { index, count, parts }: NonNullable<SearchPlan["shards"]>,
): string {
  const sum = parts.reduce((sum, { macsPerImage }) => sum + macsPerImage, 0);
  const largest = Math.max(...parts.map(({ macsPerImage }) => macsPerImage));
  return [
    formatTable([
      ["shard", "candidates", "blocks a batch", "MACs an image", "time", ""],
      ...parts.map(({ candidates, blocks, macsPerImage, seconds }, at) => [
        formatShard({ index: at, count }),
        formatCount(candidates),
        formatCount(blocks),
        formatQuantity(macsPerImage),
        seconds === null ? "-" : formatDuration(seconds),
        at === index ? "this one" : "",
      ]),
    ], "lrrrrl"),
    "",
    `The largest shard has ${(largest * count / tree).toFixed(3)} of an equal share; together they run ` +
    `${formatShare(sum / tree - 1)} more MACs than one piece, and the teacher ${formatCount(count)} times.`,
  ].join("\n");
}
