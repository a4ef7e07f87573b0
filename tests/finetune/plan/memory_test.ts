/** What a plan says of memory, beside what a training takes; and that a plan knows what a device cannot hold. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openInstances } from "../../../src/data/dense/open.ts";
import { type FineTuneConfig, parseFineTuneConfig } from "../../../src/finetune/config.ts";
import { planDetection, trainDetection } from "../../../src/finetune/detection/run.ts";
import type { DensePlan } from "../../../src/finetune/plan/plan.ts";
import { planSegmentation } from "../../../src/finetune/segmentation/run.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { openGpu } from "../../../src/host/adapter.ts";
import { gpuTest } from "../../helpers.ts";
import { withFolder } from "../../store/with_folder.ts";
import {
  drawn,
  smallConfig,
  smallModel,
  trainWhole,
  withSegmentation,
} from "../segmentation/small_segmentation.ts";

const hooks = { onStep: () => {} };

/** A plan is made on a device of its own, as a training is: neither counts what the other takes. */
async function onOtherDevice(plan: (gpu: Gpu) => Promise<DensePlan>): Promise<DensePlan> {
  using gpu = await openGpu();
  return await plan(gpu);
}

function expectBound({ memory: { device } }: DensePlan, gpu: Gpu): void {
  const { peak, largest } = gpu.pool.use;
  assert(peak <= device.total, `${peak} bytes were taken, ${device.total} planned`);
  assert(device.total <= 1.15 * peak, `${device.total} bytes were planned, ${peak} taken`);
  assert(largest <= device.largest, `a tensor of ${largest} bytes; ${device.largest} planned`);
  assert(device.weights + device.images + device.activations <= device.total);
}

for (const [head, crop] of [["fcn", [64, 48]], ["psp", [32, 32]]] as const) {
  gpuTest(
    `a segmentation with ${head} takes what was planned for it`,
    (gpu) =>
      withSegmentation(
        gpu,
        { segmentation: { crop, outputStride: 8 }, training: { batch: 4 } },
        async (request) => {
          const plan = await onOtherDevice((other) => planSegmentation(other, { ...request, head }, hooks));
          using fresh = await openGpu();
          const { steps } = await trainWhole(fresh, { ...request, head });
          assertEquals([plan.steps, plan.epochs, plan.images], [steps, 2, { training: 6, test: 4 }]);
          expectBound(plan, fresh);
          assertEquals([plan.obstacles, plan.measured.whole], [[], true]);
        },
      ),
  );
}

const detection = {
  ...{ channels: 8, anchorSizes: [12, 24, 48, 96, 192], canonicalScale: 48, hidden: 16 },
  ...{ trainingProposals: 50, testingProposals: 50, proposalSamples: 32, regionSamples: 16 },
  ...{ maskConvolutions: 1, maskChannels: 8, frozenBatchnorm: false },
};

async function withDetection(
  gpu: Gpu,
  config: FineTuneConfig,
  use: (request: Parameters<typeof planDetection>[1] & Parameters<typeof trainDetection>[1]) => Promise<void>,
): Promise<void> {
  const open = (count: number, seed: number) =>
    openInstances(`synthetic:${count}`, true, { imageSize: 64, seed });
  const [train, test] = [await open(6, 1), await open(2, 2)];
  try {
    await withFolder(async (folder) =>
      await use({
        model: await smallModel(gpu),
        ...{ head: "mask-rcnn", config, train, test },
        kept: { path: `${folder}/last.safetensors`, about: "test" },
      })
    );
  } finally {
    train.release();
    test.release();
  }
}

gpuTest("a detector takes what was planned for it", (gpu) => {
  const config = parseFineTuneConfig({
    training: { epochs: 2, batch: 2, logEvery: 1, evaluateEvery: 1 },
    detection: { ...detection, shortSide: 128, longSide: 128 },
  }, "test");
  return withDetection(gpu, config, async (request) => {
    const plan = await onOtherDevice((other) => planDetection(other, request, hooks));
    using fresh = await openGpu();
    const trained = await trainDetection(fresh, request, {
      ...{ signal: new AbortController().signal, onSteps() {}, onEvaluation() {} },
      ...{ onStart: async () => {}, evaluated: async () => await false, append: async () => {} },
    });
    using _ = trained!.objective;
    assertEquals([plan.steps, trained!.steps], [6, 6]);
    assertEquals(plan.input, { images: 2, size: { height: 128, width: 128 } });
    expectBound(plan, fresh);
  });
});

gpuTest("what one binding cannot hold is said, and time is estimated by a smaller step", async (gpu) => {
  const config = smallConfig({ segmentation: { crop: [4096, 4096] } });
  const model = await smallModel(gpu);
  const [train, test] = [await drawn(4), await drawn(2, 2)];
  try {
    const request = { model, head: "fcn", config, train, test } as const;
    const plan = await onOtherDevice((other) => planSegmentation(other, request, hooks));
    const { largest, limit } = plan.memory.device;
    assert(largest > limit);
    assertStringIncludes(plan.obstacles[0], `this adapter binds at most ${Math.ceil(limit / 2 ** 20)} MiB`);
    assertEquals(plan.measured.whole, false);
    assert(plan.measured.size.height < 4096 && plan.secondsPerStep > 0 && plan.seconds > plan.secondsPerStep);
  } finally {
    train.release();
    test.release();
  }
});
