/** A detector's heads, from a backbone's taps to masks, against torchvision's Mask R-CNN with the same weights. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import { joinRegions } from "../../../src/nn/detection/detector.ts";
import { detectObjects, readProposals } from "../../../src/nn/detection/infer.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, gpuTest, randomTensor } from "../../helpers.ts";
import { close, goldenDetector, passOf, size, weightsOf } from "./golden_detector.ts";

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
