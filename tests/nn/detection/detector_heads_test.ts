/** A detector's heads without its values: how they start, their sizes, costs, names and graph. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { traceHead } from "../../../src/elastic/head.ts";
import { ShapeError } from "../../../src/errors.ts";
import { Detector } from "../../../src/nn/detection/detector.ts";
import { detectorCosts } from "../../../src/nn/detection/detector_heads.ts";
import { boxHead, featurePyramid, maskHead, proposalHead } from "../../../src/nn/detection/heads.ts";
import { fasterRcnnSettings, maskRcnnSettings } from "../../../src/nn/detection/settings.ts";
import { currentName, joinWeights, splitWeights } from "../../../src/nn/detection/torchvision_names.ts";
import { headWeights } from "../../../src/nn/heads.ts";
import { OnnxGraph } from "../../../src/nn/onnx_graph.ts";
import { NearestSum } from "../../../src/nn/plain_layers.ts";
import { elements, type Shape } from "../../../src/shape.ts";
import { gpuTest } from "../../helpers.ts";
import { goldenDetector, passOf } from "./golden_detector.ts";

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
