/** What `deno task pretrain` says before a run: what was decided, its steps, time and memory. */
import { loadSettings } from "../config/load.ts";
import type { Override } from "../config/overrides.ts";
import type { Config, Settings } from "../config/schema.ts";
import { ConfigurationError } from "../errors.ts";
import { formatDuration } from "../duration.ts";
import type { Gpu } from "../gpu/device.ts";
import { type PlanOptions, planRun, type RunPlan } from "../pretrain/dry_run.ts";
import { long } from "../pretrain/fit/duration.ts";
import { demoConfig, smallPhotosConfig } from "./default_config.ts";
import { counted, formatCount, formatTable } from "./format.ts";
import type { Logger } from "./logger.ts";
import { describeTime, formatBytes, memoryRow } from "./plan_text.ts";

/** What a plan is made for. */
export interface PlanRequest {
  readonly gpu: Gpu;
  readonly settings: Settings;
  /** The configuration's file; undefined for a run that goes on. */
  readonly path: string | undefined;
  /** What flags set of it. */
  readonly overrides: readonly Override[];
  readonly logger: Logger;
  /** Steps that are done already. */
  readonly done: number;
  /** A dry run measures steps however few there are, and says what is wrong with the images. */
  readonly dry: boolean;
}

/** A run of so few steps is over before its steps are measured. */
const fewSteps = 8;
const secondsPerRedraw = 0.2;

/** Plans a run, with a status line while steps are measured, and says what was decided. */
export async function planWithProgress(
  request: PlanRequest,
): Promise<{ config: Config; plan: RunPlan }> {
  const { gpu, settings, logger, done, dry } = request;
  const smaller = await smallerConfig(request);
  const { submission } = gpu.stream;
  logger.status("looking at the images");
  try {
    const planned = await planRun(gpu, settings, {
      done,
      unmeasuredSteps: dry ? 0 : fewSteps,
      ...(smaller && { smaller }),
      ...(dry && { onWarning: (text) => logger.warn(text) }),
      onSmallImages: (side) =>
        logger.warn(
          `the images are about ${side} pixels wide or high, and are enlarged to data.imageSize, ` +
            `${settings.data.imageSize}, which costs time and shows nothing more. For images below 64 pixels ` +
            "configs/cifar10-elastic.json is a start.",
        ),
      onFirstStep() {
        logger.info("first step: compiling");
        const start = performance.now();
        let shown = -Infinity;
        submission.onPart = () => {
          const seconds = (performance.now() - start) / 1000;
          if (seconds - shown < secondsPerRedraw) return;
          shown = seconds;
          logger.status(`measuring steps, ${formatDuration(seconds)}`);
        };
      },
    });
    logger.status("");
    for (const { field, value, reason } of planned.plan.automatic) {
      logger.info(`${field} = ${value} (auto: ${reason})`);
    }
    return planned;
  } finally {
    submission.onPart = undefined;
    logger.status("");
  }
}

/**
 * `configs/photos-small.json` for `configs/photos.json`: the same of smaller networks, where there is one; else the smallest
 * that comes along with the same first convolution.
 */
async function smallerConfig(
  { path, settings, overrides }: PlanRequest,
): Promise<PlanOptions["smaller"]> {
  if (path === undefined) return undefined;
  const { space, initialisation } = settings;
  const smallest = space.stem.kind === "7x7" ? smallPhotosConfig : demoConfig;
  const others = [
    path.replace(/\.json$/, "-small.json"),
    ...(initialisation.weights === null ? [smallest] : []),
  ];
  for (const other of others) {
    if (other === path) continue;
    try {
      return { flags: `--config ${other}`, settings: await loadSettings(other, overrides) };
    } catch (error) {
      // It is not there, or what flags set does not go with it.
      if (!(error instanceof ConfigurationError)) throw error;
    }
  }
}

/** Time and memory of a run in few lines, for its start. */
export function planLines(plan: RunPlan, software: boolean): string[] {
  const { memory: { device, host }, free, secondsPerStep } = plan;
  const needed = host.total + (software ? device.total : 0);
  const of = free === null ? "" : ` of ${formatBytes(free)} free`;
  const memory = software
    ? `memory: about ${formatBytes(needed)}${of}`
    : `memory: about ${formatBytes(device.total)} of the device, ${
      formatBytes(host.total)
    }${of} of the machine`;
  return secondsPerStep === null ? [memory] : [...timeLines(plan), memory];
}

function timeLines({ secondsPerStep, seconds, ends, shorter }: RunPlan): string[] {
  if (secondsPerStep === null || seconds === null || ends === null) return [];
  const lines = [describeTime(secondsPerStep, "as measured", seconds, new Date(ends))];
  if (seconds > long) {
    const ways = shorter.map((way) => `${way.flags} (about ${formatDuration(way.seconds)})`);
    const shorterOnes = ways.length > 0 ? ways.join(", ") : "fewer images, or smaller networks (space)";
    lines.push(`That is more than an hour. Shorter: ${shorterOnes}`);
  }
  return lines;
}

/** The whole plan, for a dry run. */
export function formatPlan(plan: RunPlan): string {
  const { steps, epochs, images, memory: { device, host }, free } = plan;
  return [
    `${counted(steps, "step")} in ${counted(epochs, "epoch")} on ${counted(images.training, "image")}, ` +
    `${formatCount(images.heldOut)} held back`,
    ...timeLines(plan),
    formatTable([
      ["memory", ""],
      memoryRow("device: weights, gradients, momentum, statistics", device.weights),
      ...(device.queue > 0 ? [memoryRow("device: queue", device.queue)] : []),
      memoryRow("device: images", device.images),
      memoryRow("device: batches, feature maps and their gradients", device.activations),
      memoryRow("device: all", device.total),
      memoryRow("host: decoded images, at most", host.images),
      ...(host.teacher > 0 ? [memoryRow("host: the teacher's features", host.teacher)] : []),
      memoryRow("host: a checkpoint on its way to the disk", host.checkpoint),
      memoryRow("host: runtime and driver", host.runtime),
      memoryRow("host: all", host.total),
      memoryRow("host: free", free),
    ], "lr"),
  ].join("\n");
}
