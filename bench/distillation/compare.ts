/**
 * Momentum contrast alone, distillation alone, and both, for equal time: kNN of the smallest, the middle (by MACs) and the
 * largest subnet. `deno task bench:distillation --data folder:DIR --teacher features:FILE.safetensors --minutes 20 --out DIR`
 */
import { parseArgs } from "node:util";
import { loadConfig } from "../../src/config/load.ts";
import type { Override } from "../../src/config/overrides.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { type PretrainHooks, startRun } from "../../src/pretrain/pretrain.ts";
import { subnetAccuracies } from "./subnet_accuracies.ts";

/** Steps by whose time the number of epochs is chosen, after those that compile. */
const compiledAfter = 5, measuredSteps = 25;

const modes: Readonly<Record<string, (teacher: string) => Record<string, string | number>>> = {
  "momentum contrast": () => ({}),
  "distillation": (teacher) => ({ "distillation.teacher": teacher }),
  "both": (teacher) => ({ "distillation.teacher": teacher, "distillation.moco": 1 }),
};

function overrides(fields: Record<string, string | number>): Override[] {
  return Object.entries(fields).map(([path, value]) => ({ path, value, flag: "--set" }));
}

/** Hooks of a run that says what it warns of, and is stopped by the signal. */
function hooksOf(signal: AbortSignal, onSteps: (step: number) => void): PretrainHooks {
  return {
    signal,
    onWarning: (text) => console.error(`warning: ${text}`),
    onProgress: () => {},
    onStart: () => {},
    onSteps: ({ step }) => onSteps(step),
    onEvaluation: () => {},
  };
}

/** Seconds of a step, by running some. */
async function secondsPerStep(gpu: Gpu, config: Parameters<typeof startRun>[2]): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "scion-bench-" });
  const controller = new AbortController();
  let from: { step: number; time: number } | undefined;
  let seconds = NaN;
  try {
    await startRun(
      gpu,
      `${folder}/run`,
      config,
      hooksOf(controller.signal, (step) => {
        const time = performance.now() / 1000;
        if (from && step >= from.step + measuredSteps) {
          seconds = (time - from.time) / (step - from.step);
          controller.abort();
        } else if (!from && step >= compiledAfter) from = { step, time };
      }),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  if (Number.isNaN(seconds)) {
    throw new Error(
      `the run has fewer than ${compiledAfter + measuredSteps} steps: give more images or a smaller batch`,
    );
  }
  return seconds;
}

const { values: flags } = parseArgs({
  options: {
    data: { type: "string" },
    teacher: { type: "string" },
    out: { type: "string" },
    minutes: { type: "string", default: "20" },
    config: { type: "string", default: "bench/distillation/cifar10.json" },
    seed: { type: "string", default: "1" },
    rate: { type: "string" },
  },
});
if (!flags.data || !flags.teacher || !flags.out) {
  console.error(
    "usage: deno task bench:distillation --data SPEC --teacher SPEC --out DIR [--minutes N] [--config F]",
  );
  Deno.exit(2);
}
using gpu = await openGpu();
console.log(`${gpu.facts.description}; ${flags.minutes} minutes each, seed ${flags.seed}`);
for (const [name, fields] of Object.entries(modes)) {
  const common = { "data.source": flags.data, "training.seed": Number(flags.seed), ...fields(flags.teacher) };
  if (flags.rate) Object.assign(common, { "optimizer.learningRate": Number(flags.rate) });
  const probe = await loadConfig(
    flags.config,
    overrides({ ...common, "training.epochs": 100, "training.logEvery": 1 }),
  );
  const perStep = await secondsPerStep(gpu, probe);
  const { data, training } = probe;
  const images = (await imageCount(flags.data)) - data.heldOut;
  const perEpoch = perStep * Math.floor(images / training.batch);
  const epochs = Math.max(1, Math.round(60 * Number(flags.minutes) / perEpoch));
  const config = await loadConfig(flags.config, overrides({ ...common, "training.epochs": epochs }));
  const run = `${flags.out}/${name.replaceAll(" ", "-")}-${flags.seed}`;
  const { times, steps } = await startRun(gpu, run, config, hooksOf(new AbortController().signal, () => {}));
  const accuracies = await subnetAccuracies(gpu, run);
  const parts = accuracies.map(({ arch, accuracy }) => `${arch} ${(100 * accuracy).toFixed(1)} %`);
  console.log(
    `${name}: ${epochs} epochs, ${steps} steps, ${times.wall.toFixed(0)} s of steps; kNN ${
      parts.join(", ")
    }; ${run}`,
  );
}

async function imageCount(spec: string): Promise<number> {
  const { openSource } = await import("../../src/data/source.ts");
  const source = await openSource(spec, { imageSize: 32, seed: 1, preload: false, cacheBytes: 0 });
  source.release();
  return source.length;
}
