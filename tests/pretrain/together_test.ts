/** Runs of several ranks, each with a device of its own in this process. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { parseConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { DistributedError } from "../../src/errors.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { type PretrainHooks, resumeRun, startRun } from "../../src/pretrain/pretrain.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { Peers } from "../../src/train/distributed/peers.ts";
import { basicSpace } from "../extract/encoders.ts";
import { withFolder } from "../store/with_folder.ts";
import { linkedCommunicators } from "../train/distributed/linked.ts";

/** Batches of 8, statistics of 4 images each. */
function configOf(epochs: number, moco: object = {}, images = 40): Config {
  return parseConfig({
    space: basicSpace,
    data: { source: `synthetic:${images}`, heldOut: 8, imageSize: 16 },
    head: { hidden: 8, dimension: 8 },
    moco: { queue: 16, ...moco },
    sandwich: { largest: true, smallest: true, random: 1 },
    optimizer: { learningRate: 0.05 },
    training: { batch: 8, seed: 3, epochs, logEvery: 2 },
    knn: { every: 1, bank: 32, calibrate: 16 },
  }, "test");
}

function quiet(changes: Partial<PretrainHooks> = {}): PretrainHooks {
  return {
    signal: new AbortController().signal,
    ...{ onStart() {}, onSteps() {}, onEvaluation() {}, onProgress() {}, onWarning() {} },
    ...changes,
  };
}

/** Runs something on every rank at once. */
async function onRanks<T>(
  size: number,
  run: (gpu: Awaited<ReturnType<typeof openGpu>>, peers: Peers) => Promise<T>,
  stops: readonly AbortSignal[] = [],
): Promise<T[]> {
  const gpus = await Promise.all(Array.from({ length: size }, () => openGpu()));
  try {
    return await Promise.all(
      linkedCommunicators(size).map((one, rank) => run(gpus[rank], new Peers(one, stops[rank]))),
    );
  } finally {
    gpus.forEach((gpu) => gpu.release());
  }
}

const valuesOf = async (run: string) =>
  (await readSafetensors(`${run}/checkpoints/last.safetensors`)).tensors;

/** Largest difference of two checkpoints over the largest value of each tensor. */
async function distance(one: string, other: string): Promise<number> {
  const [a, b] = [await valuesOf(one), await valuesOf(other)];
  assertEquals([...a.keys()], [...b.keys()]);
  let worst = 0;
  for (const [name, { data }] of a) {
    const values = data as Float32Array, others = b.get(name)!.data as Float32Array;
    const most = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
    for (let at = 0; at < values.length; at++) {
      worst = Math.max(worst, Math.abs(values[at] - others[at]) / most);
    }
  }
  return worst;
}

const ranksTest = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn: () => withFolder(body) });

for (const teacher of ["largest", "same-architecture"] as const) {
  ranksTest(`two ranks are one process with two groups of batchnorm, teacher ${teacher}`, async (folder) => {
    const together = `${folder}/together`, alone = `${folder}/alone`;
    const moco = { shuffle: true, teacher };
    const outcomes = await onRanks(
      2,
      (gpu, peers) => startRun(gpu, together, configOf(1, moco), quiet(), peers),
    );
    using gpu = await openGpu();
    const single = await startRun(gpu, alone, configOf(1, { ...moco, batchnormGroups: 2 }), quiet());
    assertEquals(outcomes.map(({ steps }) => steps), [single.steps, single.steps]);
    assertEquals(single.steps, 4);
    const far = await distance(together, alone);
    assert(far < 2e-5, `they differ by ${far}`);
    assert(Math.abs(outcomes[0].loss! - single.loss!) < 1e-5);
    assertEquals(outcomes[0].knn, single.knn);
  });
}

ranksTest("one step of two ranks is one process's to the last bits", async (folder) => {
  const together = `${folder}/together`, alone = `${folder}/alone`;
  await onRanks(2, (gpu, peers) => startRun(gpu, together, configOf(1, {}, 16), quiet(), peers));
  using gpu = await openGpu();
  const { steps } = await startRun(gpu, alone, configOf(1, { batchnormGroups: 2 }, 16), quiet());
  assertEquals(steps, 1);
  const far = await distance(together, alone);
  assert(far < 1e-6, `they differ by ${far}`);
});

ranksTest(
  "an interrupted run goes on to the bytes of one that was not, and with other ranks as well",
  async (folder) => {
    const whole = `${folder}/whole`, parts = `${folder}/parts`;
    await onRanks(2, (gpu, peers) => startRun(gpu, whole, configOf(2), quiet(), peers));
    const stop = new AbortController();
    // The second rank alone is asked to end, in the middle of the second epoch.
    const stopped = await onRanks(2, (gpu, peers) =>
      startRun(
        gpu,
        parts,
        configOf(2),
        quiet({
          onPart: (done) => {
            if (peers.rank === 1 && done > 5) stop.abort(new Error("time is up"));
          },
        }),
        peers,
      ), [new AbortController().signal, stop.signal]);
    const [{ steps }] = stopped;
    assert(4 < steps && steps < 8, String(steps));
    assertEquals(stopped.map(({ interrupted, steps }) => [interrupted, steps]), [[true, steps], [
      true,
      steps,
    ]]);
    const kept = await Deno.readFile(`${parts}/checkpoints/last.safetensors`);
    await onRanks(2, (gpu, peers) => resumeRun(gpu, parts, { peers }, quiet()));
    const bytes = (run: string) => Deno.readFile(`${run}/checkpoints/last.safetensors`);
    assertEquals(await bytes(parts), await bytes(whole));

    await Deno.writeFile(`${parts}/checkpoints/last.safetensors`, kept);
    using gpu = await openGpu();
    const warnings: string[] = [];
    const single = await resumeRun(gpu, parts, {}, quiet({ onWarning: (text) => warnings.push(text) }));
    assert(
      warnings.some((text) => text.includes("had 2 ranks until now and goes on with one process")),
      warnings.join(),
    );
    assertEquals([single.steps, single.interrupted], [8, false]);
  },
);

ranksTest("ranks with other settings, or that cannot share a batch, are told", async (folder) => {
  const error = await assertRejects(
    () => onRanks(2, (gpu, peers) => startRun(gpu, `${folder}/a`, configOf(1 + peers.rank), quiet(), peers)),
    DistributedError,
  );
  assert(error.message.includes("configuration of rank 1"), error.message);
  await assertRejects(
    () => onRanks(3, (gpu, peers) => startRun(gpu, `${folder}/b`, configOf(1), quiet(), peers)),
    Error,
    "training.batch is 8, which 3 ranks cannot share evenly",
  );
});
