/** Losses of a detector and their gradients are those of torchvision, also where nothing is to be found. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ShapeError } from "../../../src/errors.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { Detector, joinRegions } from "../../../src/nn/detection/detector.ts";
import { detectObjects } from "../../../src/nn/detection/infer.ts";
import type { DetectorSettings } from "../../../src/nn/detection/settings.ts";
import { detectorLosses, type TrainingObjects } from "../../../src/nn/detection/losses.ts";
import { assertClose, gpuTest } from "../../helpers.ts";
import { goldenDetector, passOf, size, weightsOf } from "./golden_detector.ts";

/** Makes heads believe in an adapter that binds few bytes at once. */
function bindLess(gpu: Gpu, bytes: number): void {
  Object.defineProperty(gpu.pool, "limit", { value: bytes, configurable: true });
}

gpuTest("losses of proposals, boxes and masks and all their gradients are torchvision's", async (gpu) => {
  await compareLosses(gpu, await goldenDetector(gpu));
});

gpuTest("regions that are taken in parts give the same losses, gradients and detections", async (gpu) => {
  const golden = await goldenDetector(gpu);
  // The largest of a region: its pooled features, 8 x 7 x 7, and its mask, 9 x 28 x 28.
  bindLess(gpu, 4 * 9 * 28 * 28 * 5);
  const { one, detector, taps } = golden;
  const regions = joinRegions([new Float32Array(4 * 7), new Float32Array(4 * 5)]);
  assertEquals(detector.parts("masks", regions).map(({ first, end }) => [first, end]), [[0, 5], [5, 10], [
    10,
    12,
  ]]);
  assertEquals([...detector.parts("masks", regions)[1].images], [0, 0, 1, 1, 1]);
  assertEquals(detector.parts("boxes", regions).length, 1);
  assertEquals(detector.parts("masks", joinRegions([])), []);
  await compareLosses(gpu, golden);
  bindLess(gpu, 1);
  assertEquals(detector.parts("boxes", regions).length, 12);
  const images = { sizes: one.parameters.sizes.map(size), padded: size(one.parameters.padded) };
  const found = await detectObjects(detector, passOf(gpu, detector), taps, images);
  found.forEach(({ scores, masks }, image) => {
    assertClose(scores, one.get(`scores${image}`).data, 1e-5, "scores");
    assertClose(masks!.flatMap((mask) => [...mask]), one.get(`masks${image}`).data, 1e-5, "masks");
  });
});

async function compareLosses(
  gpu: Gpu,
  { one, detector, taps }: Awaited<ReturnType<typeof goldenDetector>>,
): Promise<void> {
  const images = {
    sizes: one.parameters.sizes.map(size),
    padded: size(one.parameters.padded),
    objects: [0, 1].map((image): TrainingObjects => {
      const { data, shape: [count, height, width] } = one.get(`objectMasks${image}`);
      const pixels = height * width;
      return {
        boxes: one.get(`objectBoxes${image}`).data,
        labels: one.get(`objectLabels${image}`).data,
        masks: Array.from(
          { length: count },
          (_, at) => Uint8Array.from(data.slice(at * pixels, (at + 1) * pixels)),
        ),
      };
    }),
  };
  const pass = passOf(gpu, detector, true);
  for (const tap of taps) pass.tape.watch(tap);
  const losses = await detectorLosses(detector, pass, taps, images, { seed: 1, step: 0 });
  const names = {
    objectness: "loss_objectness",
    proposals: "loss_rpn_box_reg",
    classes: "loss_classifier",
    boxes: "loss_box_reg",
    masks: "loss_mask",
  } as const;
  for (const [name, expected] of Object.entries(names)) {
    const loss = losses[name as keyof typeof names]!;
    assertClose(await loss.read(), one.get(expected).data, 1e-5, name);
  }
  pass.tape.backward(...Object.keys(names).map((name) => losses[name as keyof typeof names]!));
  for (const [name, gradient] of detector.weights.gradients!.entries()) {
    assertClose(await gradient.read(), one.get(`grad.${name}`).data, 1e-4, name);
  }
  for (const [at, tap] of taps.entries()) {
    assertClose(await pass.tape.take(tap)!.read(), one.get(`gradTap${at}`).data, 1e-4, `tap ${at}`);
  }
}

gpuTest("images without objects have losses of background alone", async (gpu) => {
  const { one, detector, taps } = await goldenDetector(gpu);
  const none = { boxes: new Float32Array(0), labels: [], masks: [] };
  const images = {
    sizes: one.parameters.sizes.map(size),
    padded: size(one.parameters.padded),
    objects: [none, none],
  };
  const pass = passOf(gpu, detector, true);
  const losses = await detectorLosses(detector, pass, taps, images, { seed: 1, step: 0 });
  assertEquals(losses.masks, undefined);
  assertEquals([...await losses.proposals.read(), ...await losses.boxes!.read()], [0, 0]);
  pass.tape.backward(losses.objectness, losses.proposals, losses.classes!, losses.boxes!);
  for (const [name, gradient] of detector.weights.gradients!.entries()) {
    const values = await gradient.read();
    assert(values.every(Number.isFinite), name);
    assertEquals(values.some((value) => value !== 0), !/bbox_pred|mask/.test(name), name);
  }
});

gpuTest("nothing proposed and nothing detected are results, too", async (gpu) => {
  const { one, detector, taps } = await goldenDetector(gpu);
  const { settings } = detector;
  const images = { sizes: one.parameters.sizes.map(size), padded: size(one.parameters.padded) };
  const sifted = (changed: DetectorSettings) => {
    const other = new Detector(gpu, one.parameters.taps, changed, false);
    other.load(weightsOf(one, other));
    return detectObjects(other, passOf(gpu, other), taps, images);
  };
  const { boxes, proposals } = settings;
  const detections = { ...boxes.detections, scoreThreshold: 1 };
  for (
    const found of [
      await sifted({ ...settings, boxes: { ...boxes, detections } }),
      await sifted({
        ...settings,
        proposals: { ...proposals, testing: { ...proposals.testing, afterNms: 0 } },
      }),
    ]
  ) {
    assertEquals(found.map(({ scores, masks }) => [scores.length, masks!.length]), [[0, 0], [0, 0]]);
  }
});

gpuTest("a Faster R-CNN, with boxes of all classes together", async (gpu) => {
  const { one, detector: { settings: { masks: _, ...settings } }, taps } = await goldenDetector(gpu);
  const boxes = { ...settings.boxes, agnostic: true };
  const detector = new Detector(gpu, one.parameters.taps, { ...settings, boxes }, true);
  await detector.initialise(1);
  assertEquals(detector.weights.parameter("roi_heads.box_predictor.bbox_pred.bias").value.shape, [4]);
  const sizes = one.parameters.sizes.map(size);
  const padded = size(one.parameters.padded);
  const objects = [0, 1].map((image) => ({
    boxes: one.get(`objectBoxes${image}`).data,
    labels: one.get(`objectLabels${image}`).data,
  }));
  const pass = passOf(gpu, detector, true);
  const losses = await detectorLosses(detector, pass, taps, { sizes, padded, objects }, { seed: 1, step: 0 });
  assertEquals(losses.masks, undefined);
  pass.tape.backward(losses.objectness, losses.proposals, losses.classes!, losses.boxes!);
  const gradient = await detector.weights.parameter("roi_heads.box_predictor.bbox_pred.weight").gradient!
    .read();
  assert(gradient.some((value) => value !== 0));
  const [found] = await detectObjects(detector, passOf(gpu, detector), taps, { sizes, padded });
  assertEquals(found.masks, undefined);
});

gpuTest("objects that would end as a wrong class, as NaN or without a target are refused", async (gpu) => {
  const { one, detector, taps } = await goldenDetector(gpu);
  const boxes = Float32Array.of(3, 4, 20, 30);
  const none = { boxes: new Float32Array(0), labels: [] };
  const images = { sizes: one.parameters.sizes.map(size), padded: size(one.parameters.padded) };
  const refused = (objects: TrainingObjects[], words: string) =>
    assertRejects(
      () =>
        detectorLosses(detector, passOf(gpu, detector, true), taps, { ...images, objects }, {
          seed: 1,
          step: 0,
        }),
      ShapeError,
      words,
    );
  await refused([{ boxes, labels: [1] }, none], "image 0 of the batch has objects without masks");
  await refused(
    [none, { boxes, labels: [4] }],
    "image 1 of the batch has an object of class 4; the detector has 1 to 3",
  );
  await refused([none, { boxes, labels: [0] }], "of class 0");
  await refused(
    [{ boxes: Float32Array.of(3, 4, 3, 30), labels: [1] }, none],
    "a box without area: 3, 4, 3, 30",
  );
  await refused([none], "objects of 1 images in a batch of 2");
});
