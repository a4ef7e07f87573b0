/** `deno task search --dry-run`: how much work a search is, and how long it would take on this adapter. */
import { formatDuration } from "../duration.ts";
import type { Config } from "../config/schema.ts";
import { GpuError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Encoder } from "../nn/encoder.ts";
import { configuredHeads } from "../pretrain/objective.ts";
import { measureRate } from "../search/rate.ts";
import { countWork, type PrefixTree, type TreeWork } from "../search/tree.ts";
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
}

/** Counts the work, and measures the rate where there is an adapter. */
export async function planSearch(
  config: Config,
  tree: PrefixTree,
  { images, batch, passes, logger }: { images: number; batch: number; passes: number; logger: Logger },
): Promise<SearchPlan> {
  const { network } = tree;
  const { imageSize } = config.data;
  const work = countWork(imageSize, tree);
  const rate = await probe(config, tree, Math.min(batch, images), logger);
  const teacherMacs = macs(network, network.space.max, imageSize);
  const seconds = (perImage: number) => (perImage + teacherMacs) * images * passes / rate!;
  return {
    candidates: tree.candidates.length,
    images,
    blocks: work.blocks,
    macsPerImage: work.macs,
    teacherMacs,
    macsPerSecond: rate ?? null,
    seconds: rate === undefined ? null : { tree: seconds(work.macs.tree), alone: seconds(work.macs.alone) },
  };
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
  ].join("\n");
}
