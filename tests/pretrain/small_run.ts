/** What the tests of whole runs share: a network that takes a step in a few hundredths of a second, and its files. */
import { assertEquals } from "@std/assert";
import { parseConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import {
  type PretrainHooks,
  type PretrainOutcome,
  resumeRun,
  startRun,
} from "../../src/pretrain/pretrain.ts";

/** Four architectures; 48 images to train on, three steps an epoch; intervals of the log that span epochs. */
export const smallConfig = {
  space: {
    block: "basic",
    stem: { kind: "3x3", widths: [4] },
    widths: [[4], [4, 8], [8], [8, 12]],
    depths: [[1], [1], [1], [1]],
  },
  data: { source: "synthetic:64", heldOut: 16, imageSize: 16 },
  head: { kind: "linear", dimension: 8 },
  moco: { queue: 32, momentum: 0.9 },
  training: { epochs: 2, batch: 16, logEvery: 4, checkpointEvery: 1 },
  knn: { every: 1, neighbours: 5, calibrate: 16 },
};

/** The small configuration with some sections' fields replaced. */
export function smallRun(changes: Record<string, Record<string, unknown> | string> = {}): Config {
  const base: Record<string, unknown> = { ...smallConfig };
  for (const [section, fields] of Object.entries(changes)) {
    base[section] = typeof fields === "string" ? fields : { ...(base[section] ?? {}), ...fields };
  }
  return parseConfig(base, "test");
}

/** Hooks that collect what a run says, and stop it after its first wait for the device where asked to. */
export function collectingHooks(options: { stopAtOnce?: boolean; onSteps?: (step: number) => void } = {}) {
  const controller = new AbortController();
  const warnings: string[] = [];
  const hooks: PretrainHooks = {
    signal: controller.signal,
    onProgress: () => {},
    onWarning: (text) => void warnings.push(text),
    onStart: () => {},
    onSteps({ step }) {
      options.onSteps?.(step);
      if (options.stopAtOnce) controller.abort();
    },
    onEvaluation: () => {},
  };
  return { hooks, warnings };
}

/** Runs from the start, or on, and expects no warning. */
export async function run(gpu: Gpu, path: string, config: Config | "resume"): Promise<PretrainOutcome> {
  const { hooks, warnings } = collectingHooks();
  const outcome = config === "resume"
    ? await resumeRun(gpu, path, {}, hooks)
    : await startRun(gpu, path, config, hooks);
  assertEquals(warnings.filter((text) => !/moco.queue|knn.neighbours|No kNN/.test(text)), []);
  return outcome;
}

/** Fails unless two runs have the same metrics, but for the speed, and the same checkpoints, byte for byte. */
export async function assertSameRun(actual: string, expected: string): Promise<void> {
  assertEquals(await metricsLines(actual), await metricsLines(expected));
  const names = async (path: string) =>
    (await Array.fromAsync(Deno.readDir(`${path}/checkpoints`))).map(({ name }) => name).sort();
  assertEquals(await names(actual), await names(expected));
  for (const name of await names(expected)) {
    const [found, wanted] = await Promise.all(
      [actual, expected].map((path) => Deno.readFile(`${path}/checkpoints/${name}`)),
    );
    const differing = found.length === wanted.length ? found.findIndex((byte, at) => byte !== wanted[at]) : 0;
    assertEquals(differing, -1, `${name} differs`);
  }
}

/** The lines of a run's metrics without what depends on time. */
export async function metricsLines(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(`${path}/metrics.jsonl`);
  return text.trimEnd().split("\n").map((line) => {
    const { imagesPerSecond: _speed, ...rest } = JSON.parse(line);
    return JSON.stringify(rest);
  });
}
