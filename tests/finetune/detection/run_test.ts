/** A Mask R-CNN is trained on drawn scenes: its loss falls, and an interrupted training ends with the same bits. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { headOf } from "../../../src/cli/finetune_flags.ts";
import { openInstances } from "../../../src/data/dense/open.ts";
import { UsageError } from "../../../src/errors.ts";
import { extractSubnet } from "../../../src/extract/extract.ts";
import { parseFineTuneConfig } from "../../../src/finetune/config.ts";
import { trainDetection } from "../../../src/finetune/detection/run.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { isStep, type MetricsLine } from "../../../src/store/metrics.ts";
import { bottleneckSpace, livelyEncoder } from "../../extract/encoders.ts";
import { gpuTest } from "../../helpers.ts";
import { withFolder } from "../../store/with_folder.ts";

const config = parseFineTuneConfig({
  optimizer: { learningRate: 0.02, weightDecay: 0, schedule: "constant", warmupEpochs: 4 },
  training: { epochs: 16, batch: 2, logEvery: 1, evaluateEvery: 0 },
  detection: {
    shortSide: null,
    channels: 8,
    anchorSizes: [12, 24, 48, 96, 192],
    canonicalScale: 48,
    trainingProposals: 50,
    testingProposals: 50,
    proposalSamples: 32,
    regionSamples: 16,
    hidden: 16,
    maskConvolutions: 1,
    maskChannels: 8,
    frozenBatchnorm: false,
  },
}, "test");

async function train(gpu: Gpu, path: string, stopAt?: number) {
  const encoder = livelyEncoder(gpu, bottleneckSpace, 1);
  const input = { imageSize: 64, mean: [0.5, 0.5, 0.5] as const, std: [0.25, 0.25, 0.25] as const };
  const model = await extractSubnet(encoder, encoder.network.space.min, input, undefined);
  encoder.release();
  const open = (seed: number) => openInstances("synthetic:2", true, { imageSize: 64, seed });
  const [images, test] = [await open(1), await open(2)];
  const stop = new AbortController();
  const lines: MetricsLine[] = [];
  const trained = await trainDetection(gpu, {
    model,
    head: "mask-rcnn",
    config,
    train: images,
    test,
    kept: { path, about: "test" },
  }, {
    signal: stop.signal,
    onStart: () => Promise.resolve(),
    evaluated: () => Promise.resolve(true),
    onSteps() {},
    onPart(done) {
      if (stopAt !== undefined && done >= stopAt) stop.abort(new Error("stopped"));
    },
    onEvaluation() {},
    append: (...more) => Promise.resolve(void lines.push(...more)),
  });
  images.release();
  test.release();
  return { trained, losses: lines.filter(isStep).map(({ loss }) => loss) };
}

gpuTest(
  "the loss falls, and an interrupted training ends as one that was not",
  (gpu) =>
    withFolder(async (folder) => {
      const whole = await train(gpu, `${folder}/whole.safetensors`);
      const { losses } = whole;
      assertEquals(losses.length, 16);
      assert(losses[15] < 0.7 * losses[0], `losses ${losses}`);
      const first = await train(gpu, `${folder}/parts.safetensors`, 7);
      assertEquals(first.trained, undefined);
      const rest = await train(gpu, `${folder}/parts.safetensors`);
      assert(first.losses.length > 0 && rest.losses.length > 0 && rest.losses.length < 16);
      assertEquals(rest.losses, losses.slice(-rest.losses.length));
      const bits = async ({ trained }: typeof whole) => {
        using objective = trained!.objective;
        const contents = await gpu.read(...objective.encoder.weights.values.chunks);
        return contents.map((bytes) => [...new Uint32Array(bytes)]);
      };
      assertEquals(await bits(rest), await bits(whole));
    }),
);

Deno.test("a head of another task is refused, and each task has its own", () => {
  assertEquals(headOf("detection", undefined), "faster-rcnn");
  assertEquals(headOf("instances", undefined), "mask-rcnn");
  assertThrows(
    () => headOf("detection", "mask-rcnn"),
    UsageError,
    "--head mask-rcnn does not go with --task detection",
  );
  assertThrows(() => headOf("segmentation", "faster-rcnn"), UsageError, "fcn and psp");
});
