/** What `deno task finetune --dry-run` says: steps, time and memory of a training that does not start. */
import { formatArchitecture } from "../elastic/architecture.ts";
import { loadFineTuneConfig } from "../finetune/config.ts";
import type { DenseKind } from "../finetune/dense/run.ts";
import type { DensePlan } from "../finetune/plan/plan.ts";
import type { Context } from "./command.ts";
import { openDevice } from "./device.ts";
import { findBackbone } from "./finetune_backbone.ts";
import { type FinetuneFlags, type finetuneFlags, finetuneOverrides } from "./finetune_flags.ts";
import { type FinetuneTask, openSets } from "./finetune_frame.ts";
import { counted, formatCount, formatTable } from "./format.ts";
import { describeTime, memoryRow } from "./plan_text.ts";

/** A training before it starts. */
export interface FinetunePlan extends DensePlan {
  readonly task: FinetuneFlags["task"];
  readonly head: string;
  readonly arch: string;
}

/** Plans a training. Weights are neither read nor drawn, but where a model's file has to be looked at. */
export async function planFinetuning<Kind extends DenseKind>(
  { flags, logger }: Context<typeof finetuneFlags>,
  task: FinetuneTask<Kind>,
): Promise<FinetunePlan> {
  const onWarning = (text: string) => logger.warn(text);
  const config = await loadFineTuneConfig(flags.config, finetuneOverrides(flags));
  const model = await findBackbone(flags, config, onWarning);
  await using cleanup = new AsyncDisposableStack();
  const { train, test } = await openSets(task, flags, { seed: config.training.seed, onWarning }, cleanup);
  using gpu = await openDevice(logger);
  logger.status("counting a step's work and memory");
  const plan = await task.plan(gpu, { model, head: task.head, config, train, test }, {
    onStep: (input) => logger.status(`measuring steps: ${formatInput(input)}`),
  });
  logger.status("");
  const arch = formatArchitecture(model.network.space.max);
  return { task: flags.task, head: task.head, arch, ...plan };
}

/** `8 images of 512 x 1024 pixels` (height and width). */
function formatInput({ images, size: { height, width } }: DensePlan["input"]): string {
  return `${counted(images, "image")} of ${height} x ${width} pixels`;
}

/** `25.1 GFLOP`, `14.2 TFLOP`. */
function formatFlops(flops: number): string {
  const [unit, name] = flops < 1e12 ? [1e9, "GFLOP"] : [1e12, "TFLOP"];
  return `${(flops / unit).toPrecision(3)} ${name}`;
}

function describeMeasurement({ measured, flopsPerStep }: DensePlan): string {
  if (measured.whole) return "as measured";
  return `estimated by its ${formatFlops(flopsPerStep)} and the ${
    formatFlops(measured.flopsPerSecond)
  }/s of a step on ${formatInput(measured)}`;
}

/** The whole plan, for people. */
export function formatFinetunePlan(plan: FinetunePlan): string {
  const { task, head, arch, steps, epochs, images, input, memory: { device, host }, free, obstacles } = plan;
  const { secondsPerStep, seconds, ends } = plan;
  return [
    `${task}, ${head} over ${arch}: ${counted(steps, "step")} in ${counted(epochs, "epoch")} on ` +
    `${counted(images.training, "image")}, ${formatCount(images.test)} to test on; at most ${
      formatInput(input)
    } a step`,
    describeTime(secondsPerStep, describeMeasurement(plan), seconds, new Date(ends)),
    ...obstacles.map((text) => `Cannot start here. ${text}`),
    formatTable([
      ["memory", ""],
      memoryRow("device: weights, gradients, momentum, statistics", device.weights),
      memoryRow("device: images", device.images),
      memoryRow("device: batches, feature maps and their gradients", device.activations),
      memoryRow("device: all", device.total),
      memoryRow("device: the largest tensor", device.largest),
      memoryRow("device: what one binding holds", device.limit),
      memoryRow("host: decoded images, at most", host.images),
      memoryRow("host: batches, with labels or objects", host.batches),
      memoryRow("host: weights on their way to the disk", host.checkpoint),
      memoryRow("host: runtime and driver", host.runtime),
      memoryRow("host: all", host.total),
      memoryRow("host: free", free),
    ], "lr"),
  ].join("\n");
}
