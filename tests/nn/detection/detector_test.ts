/** A detector's heads, from a backbone's taps to masks, against torchvision's Mask R-CNN with the same weights. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { traceHead } from "../../../src/elastic/head.ts";
import { DataError, ShapeError } from "../../../src/errors.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { Detector, joinRegions } from "../../../src/nn/detection/detector.ts";
import { detectorCosts } from "../../../src/nn/detection/detector_heads.ts";
import { boxHead, featurePyramid, maskHead, proposalHead } from "../../../src/nn/detection/heads.ts";
import { detectObjects, readProposals } from "../../../src/nn/detection/infer.ts";
import { everything } from "../../../src/nn/detection/sampler.ts";
import {
  type DetectorSettings,
  fasterRcnnSettings,
  maskRcnnSettings,
} from "../../../src/nn/detection/settings.ts";
import { currentName, joinWeights, splitWeights } from "../../../src/nn/detection/torchvision_names.ts";
import { headWeights } from "../../../src/nn/heads.ts";
import { detectorLosses, type TrainingObjects } from "../../../src/nn/detection/losses.ts";
import type { Pass } from "../../../src/nn/layers.ts";
import { OnnxGraph } from "../../../src/nn/onnx_graph.ts";
import { NearestSum } from "../../../src/nn/plain_layers.ts";
import { elements, type Shape } from "../../../src/shape.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, type GoldenCase, goldenCases, gpuTest, randomTensor } from "../../helpers.ts";

const size = ([height, width]: readonly number[]) => ({ height, width });

/** A pass that only a detector's own weights are read in. */
function passOf(gpu: Gpu, detector: Detector, recording = false): Pass {
  return {
    tape: new Tape(gpu, recording),
    weights: detector.weights,
    // deno-lint-ignore no-explicit-any
    statistics: undefined as any,
    training: recording,
    batchnormGroups: 1,
  };
}

function settingsOf({ parameters: one }: GoldenCase): DetectorSettings {
  const settings = maskRcnnSettings(one.classes);
  const { beforeNms, afterNms } = one;
  return {
    ...settings,
    channels: one.channels,
    anchors: { ...settings.anchors, sizes: one.anchors.map((side: number) => [side]) },
    // All anchors and regions are taken: no chance.
    proposals: {
      ...settings.proposals,
      targets: { ...settings.proposals.targets, sample: everything },
      training: { ...settings.proposals.training, beforeNms, afterNms },
      testing: { ...settings.proposals.testing, beforeNms, afterNms },
    },
    levels: { ...settings.levels, canonicalScale: one.canonicalScale },
    boxes: {
      ...settings.boxes,
      hidden: one.hidden,
      targets: { ...settings.boxes.targets, sample: everything },
      detections: { ...settings.boxes.detections, most: one.most },
    },
    masks: { ...settings.masks!, convolutions: one.maskConvolutions, hidden: one.maskHidden },
  };
}

function weightsOf(one: GoldenCase, detector: Detector) {
  const names = [...detector.weights.shapes.parameters.keys()];
  return new Map(names.map((name) => [name, one.get(`weight.${name}`)]));
}

async function goldenDetector(gpu: Gpu) {
  const [one] = await goldenCases("detector");
  const detector = new Detector(gpu, one.parameters.taps, settingsOf(one), true);
  detector.load(weightsOf(one, detector));
  const taps = [0, 1, 2, 3].map((tap) => {
    const { data, shape } = one.get(`tap${tap}`);
    return Tensor.from(gpu, data, shape);
  });
  return { one, detector, taps };
}

async function close(one: GoldenCase, name: string, found: Tensor): Promise<void> {
  assertEquals(found.shape, one.get(name).shape, name);
  assertClose(await found.read(), one.get(name).data, one.tolerance.forward, name);
}

gpuTest("each head says what torchvision's says", async (gpu) => {
  const { one, detector, taps } = await goldenDetector(gpu);
  const sizes = one.parameters.sizes.map(size);
  const pass = passOf(gpu, detector);
  const maps = detector.pyramid(pass, taps);
  const outputs = detector.propose(pass, maps);
  for (let level = 0; level < 5; level++) {
    await close(one, `pyramid${level}`, maps[level]);
    await close(one, `objectness${level}`, outputs[level].objectness);
    await close(one, `deltas${level}`, outputs[level].deltas);
  }
  const images = { sizes, padded: size(one.parameters.padded) };
  const proposals = await readProposals(detector, outputs, images, detector.settings.proposals.testing);
  proposals.forEach((boxes, image) => {
    assertEquals(boxes.length, one.get(`proposals${image}`).data.length);
    assertClose(boxes, one.get(`proposals${image}`).data, 1e-5, `proposals of image ${image}`);
  });
  const given = joinRegions([0, 1].map((image) => one.get(`proposals${image}`).data));
  const { logits, codes } = detector.boxes(pass, maps, sizes, given);
  await close(one, "logits", logits);
  await close(one, "codes", codes);
  const found = joinRegions([0, 1].map((image) => one.get(`boxes${image}`).data));
  await close(one, "maskLogits", detector.masks(pass, maps, sizes, found));
});

gpuTest("boxes, classes, scores and masks are torchvision's", async (gpu) => {
  const { one, detector, taps } = await goldenDetector(gpu);
  const images = { sizes: one.parameters.sizes.map(size), padded: size(one.parameters.padded) };
  const found = await detectObjects(detector, passOf(gpu, detector), taps, images);
  found.forEach(({ boxes, scores, labels, masks }, image) => {
    const expected = (name: string) => one.get(`${name}${image}`).data;
    assertEquals([...labels], [...expected("labels")]);
    assertClose(boxes, expected("boxes"), 1e-5, "boxes");
    assertClose(scores, expected("scores"), 1e-5, "scores");
    assertClose(masks!.flatMap((mask) => [...mask]), expected("masks"), 1e-5, "masks");
  });
  const classes = new Set(found.flatMap(({ labels }) => [...labels]));
  assert(classes.size > 1, "one class only");
});

gpuTest("gradients flow from every head to every weight and tap", async (gpu) => {
  const { one, detector, taps } = await goldenDetector(gpu);
  const sizes = one.parameters.sizes.map(size);
  const pass = passOf(gpu, detector, true);
  for (const tap of taps) pass.tape.watch(tap);
  const maps = detector.pyramid(pass, taps);
  const outputs = detector.propose(pass, maps);
  const regions = joinRegions([0, 1].map((image) => one.get(`proposals${image}`).data));
  const { logits, codes } = detector.boxes(pass, maps, sizes, regions);
  const masks = detector.masks(pass, maps, sizes, regions);
  const ends = [...outputs.flatMap(({ objectness, deltas }) => [objectness, deltas]), logits, codes, masks];
  pass.tape.backward(
    ...ends.map((end, at): [Tensor, Tensor] => [end, randomTensor(gpu, end.shape, at)]),
  );
  for (const [name, gradient] of detector.weights.gradients!.entries()) {
    assert((await gradient.read()).some((value) => value !== 0), `${name} has no gradient`);
  }
  for (const tap of taps) assert((await pass.tape.take(tap)!.read()).some((value) => value !== 0));
});

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

gpuTest("narrower taps use the leading weights", async (gpu) => {
  const { one, detector, taps } = await goldenDetector(gpu);
  const narrow = taps.map((tap) => randomTensor(gpu, [1, 3, tap.shape[2], tap.shape[3]], 1));
  const [map] = detector.pyramid(passOf(gpu, detector), narrow);
  assertEquals(map.shape, [1, one.parameters.channels, taps[0].shape[2], taps[0].shape[3]]);
});

gpuTest("weights are taken by their names, all of them and no others", async (gpu) => {
  const { one, detector } = await goldenDetector(gpu);
  const weights = weightsOf(one, detector);
  const without = new Map(weights);
  without.delete("rpn.head.bbox_pred.bias");
  assertThrows(() => detector.load(without), DataError, "missing: rpn.head.bbox_pred.bias");
  assertThrows(
    () => detector.load(new Map([...weights, ["fc.weight", weights.get("rpn.head.bbox_pred.bias")!]])),
    DataError,
    "unknown: fc.weight",
  );
  const wrong = { shape: [5], data: new Float32Array(5) };
  assertThrows(
    () => detector.load(new Map([...weights, ["rpn.head.cls_logits.bias", wrong]])),
    DataError,
    "of another shape: rpn.head.cls_logits.bias [5], not [3]",
  );
});

gpuTest("heads start as torchvision's do", async (gpu) => {
  const { detector } = await goldenDetector(gpu);
  await detector.initialise(3);
  const values = async (name: string) => [...await detector.weights.parameter(name).value.read()];
  const deviation = (list: number[]) => Math.sqrt(list.reduce((sum, x) => sum + x * x, 0) / list.length);
  const near = (found: number, expected: number) =>
    assert(Math.abs(found / expected - 1) < 0.15, `${found} instead of ${expected}`);
  near(deviation(await values("rpn.head.conv.0.0.weight")), 0.01);
  assertEquals(new Set(await values("rpn.head.conv.0.0.bias")), new Set([0]));
  near(deviation(await values("backbone.fpn.layer_blocks.0.0.weight")), Math.sqrt(1 / 72));
  near(deviation(await values("roi_heads.box_head.fc6.weight")), Math.sqrt(1 / (3 * 8 * 49)));
  assert(
    (await values("roi_heads.box_head.fc6.bias")).every((value) => Math.abs(value) < 1 / Math.sqrt(8 * 49)),
  );
  near(deviation(await values("roi_heads.mask_head.0.0.weight")), Math.sqrt(2 / (6 * 9)));
  const first = await values("roi_heads.box_predictor.cls_score.weight");
  await detector.initialise(3);
  assertEquals(await values("roi_heads.box_predictor.cls_score.weight"), first);
});

gpuTest("a detector's settings fit its taps, and boxes alone have no masks", (gpu) => {
  const settings = { ...fasterRcnnSettings(3), channels: 4 };
  assertThrows(() => new Detector(gpu, [4, 4, 4], settings, false), ShapeError, "3 taps has 4 maps");
  const anchors = { ...settings.anchors, sizes: [[8], [8, 16], [8], [8], [8]] };
  assertThrows(() => new Detector(gpu, [4, 4, 4, 4], { ...settings, anchors }, false), ShapeError, "3, 6");
  const levels = { ...settings.levels, levels: 3 };
  assertThrows(() => new Detector(gpu, [4, 4, 4, 4], { ...settings, levels }, false), ShapeError, "3 levels");
  const detector = new Detector(gpu, [4, 4, 4, 4], settings, false);
  const regions = { boxes: new Float32Array(4), images: [0] };
  assertThrows(() => detector.masks(passOf(gpu, detector), [], [], regions), ShapeError, "no masks");
  return Promise.resolve();
});

Deno.test("the heads over a ResNet-50 have as many parameters as torchvision's", () => {
  const { boxes, masks, channels, classes, anchors } = maskRcnnSettings(91);
  const taps = [256, 512, 1024, 2048].map((width, tap): Shape => [1, width, 64 >> tap, 64 >> tap]);
  const pyramid = traceHead(featurePyramid(4, channels), taps);
  const count = (...traces: Parameters<typeof headWeights>[0][number][]) =>
    [...headWeights(traces).shapes.parameters.values()].reduce((sum, shape) => sum + elements(shape), 0);
  const box = traceHead(boxHead(boxes.hidden, classes, boxes.agnostic), [[1, channels, 7, 7]]);
  const proposals = traceHead(proposalHead(channels, anchors.ratios.length), pyramid.outputs);
  // A ResNet-50 without its classifier, and without the 53 120 of its batchnorms, which are frozen there.
  const body = 23_454_912;
  assertEquals(body + count(pyramid, proposals, box), 41_755_286);
  const mask = traceHead(maskHead(masks!.convolutions, masks!.hidden, classes), [[1, channels, 14, 14]]);
  assertEquals(body + count(pyramid, proposals, box, mask), 44_401_393);
  assertEquals(mask.outputs, [[1, 91, 28, 28]]);
});

Deno.test("the heads over a ResNet-50 cost what is known of them", () => {
  const taps = [256, 512, 1024, 2048].map((width, tap): Shape => [1, width, 200 >> tap, 336 >> tap]);
  const costs = detectorCosts(maskRcnnSettings(91), taps, { boxes: 512, masks: 128 });
  const giga = Object.values(costs).map(({ macs }) => Math.round(macs / 1e9));
  assertEquals(giga, [61, 53, 7, 68]);
  // fc6 with its ReLU, fc7, logits and codes of 512 regions, and what was pooled.
  assertEquals(costs.boxes.values, 512 * (256 * 49 + 4 * 1024 + 5 * 91));
  assertEquals(detectorCosts(fasterRcnnSettings(91), taps, { boxes: 512, masks: 0 }).masks, undefined);
});

Deno.test("heads become ONNX nodes of their own, with each constant once", () => {
  const weights = new Map(
    [...headWeights([traceHead(proposalHead(4, 3), [[1, 4, 8, 8], [1, 4, 4, 4]])]).shapes.parameters].map((
      [name, shape],
    ) => [name, { shape, data: new Float32Array(elements(shape)) }]),
  );
  const graph = new OnnxGraph(weights);
  const outputs = proposalHead(4, 3).forward<string>((layer, ...inputs) => layer.onnx(graph, ...inputs), [
    "fine",
    "coarse",
  ]);
  assertEquals(outputs, [
    "rpn.head.cls_logits",
    "rpn.head.bbox_pred",
    "rpn.head.cls_logits_1",
    "rpn.head.bbox_pred_1",
  ]);
  assertEquals(graph.constants.map(({ name }) => name), [...weights.keys()]);
  assertEquals(new Set(graph.nodes.map(({ name }) => name)).size, 8);

  const pyramid = new OnnxGraph(new Map());
  new NearestSum("sum").onnx(pyramid, "coarse", "fine");
  assertEquals(pyramid.nodes.map(({ operator, inputs }) => [operator, ...inputs]), [
    ["Shape", "fine"],
    ["Resize", "coarse", "", "", "sum.size"],
    ["Add", "sum.larger", "fine"],
  ]);
});

Deno.test("names of torchvision's older files, and weights taken apart and joined", () => {
  assertEquals(
    [
      "backbone.fpn.inner_blocks.2.weight",
      "rpn.head.conv.bias",
      "roi_heads.mask_head.mask_fcn4.weight",
      "rpn.head.cls_logits.weight",
      "backbone.fpn.layer_blocks.0.0.bias",
    ].map(currentName),
    [
      "backbone.fpn.inner_blocks.2.0.weight",
      "rpn.head.conv.0.0.bias",
      "roi_heads.mask_head.3.0.weight",
      "rpn.head.cls_logits.weight",
      "backbone.fpn.layer_blocks.0.0.bias",
    ],
  );
  const weight = { shape: [1], data: Float32Array.of(1) };
  const names = [
    "backbone.body.conv1.weight",
    "backbone.body.bn1.num_batches_tracked",
    "rpn.head.conv.0.0.bias",
  ];
  const { backbone, heads } = splitWeights(new Map(names.map((name) => [name, weight])));
  assertEquals([[...backbone.keys()], [...heads.keys()]], [["conv1.weight"], ["rpn.head.conv.0.0.bias"]]);
  assertEquals([...joinWeights({ backbone, heads }).keys()], [names[0], names[2]]);
});
