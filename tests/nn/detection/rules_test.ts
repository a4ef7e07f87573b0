/** What golden values do not reach: chance, other programs' rules, and images without anything. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigurationError, ShapeError } from "../../../src/errors.ts";
import { anchorsPerPosition, gridAnchors } from "../../../src/nn/detection/anchors.ts";
import { decodeBoxes, encodeBoxes } from "../../../src/nn/detection/box_coder.ts";
import { iouMatrix, resizeBoxes } from "../../../src/nn/detection/boxes.ts";
import { detect, type DetectionRule } from "../../../src/nn/detection/detections.ts";
import { background, ignored, matchBoxes } from "../../../src/nn/detection/matcher.ts";
import { groupedNms, nms, topScores } from "../../../src/nn/detection/nms.ts";
import { maskPixels, pasteMask } from "../../../src/nn/detection/paste.ts";
import { selectProposals } from "../../../src/nn/detection/proposals.ts";
import { pyramidLevels } from "../../../src/nn/detection/pyramid_levels.ts";
import { everything, sampleBoxes } from "../../../src/nn/detection/sampler.ts";
import { anchorTargets, maskTargets, regionTargets } from "../../../src/nn/detection/targets.ts";
import { purpose, Random } from "../../../src/random.ts";

const nothing = new Float32Array(0);
const random = (step = 0) => new Random(3, purpose.test, step);
const detection: DetectionRule = {
  scoreThreshold: 0.05,
  nmsThreshold: 0.5,
  most: 100,
  leastSide: 1e-2,
  weights: [10, 10, 5, 5],
};

Deno.test("a sample has its size and its share of objects, and depends on the seed alone", () => {
  const labels = Array.from({ length: 1000 }, (_, at) => at % 10 === 0 ? 2 : at % 10 === 1 ? -1 : 0);
  const rule = { size: 64, positiveFraction: 0.25 };
  const { positives, negatives } = sampleBoxes(labels, rule, random());
  assertEquals([positives.length, negatives.length], [16, 48]);
  assert(positives.every((at) => labels[at] === 2) && negatives.every((at) => labels[at] === 0));
  for (const list of [positives, negatives]) {
    assertEquals([...new Set(list)].sort((a, b) => a - b), [...list]);
  }
  assertEquals(sampleBoxes(labels, rule, random()), { positives, negatives });
  const other = sampleBoxes(labels, rule, random(1));
  assert(other.negatives.some((at) => !negatives.includes(at)));
});

Deno.test("each box is as likely to be taken", () => {
  const counts = new Array<number>(10).fill(0);
  for (let step = 0; step < 3000; step++) {
    const { negatives } = sampleBoxes(
      new Array<number>(10).fill(0),
      { size: 3, positiveFraction: 1 },
      random(step),
    );
    for (const at of negatives) counts[at]++;
  }
  // Binomial with mean 900 and deviation 25.
  assert(counts.every((count) => Math.abs(count - 900) < 110), counts.join(", "));
});

Deno.test("few objects leave more room for background, and few boxes are all taken", () => {
  const rule = { size: 4, positiveFraction: 0.5 };
  assertEquals(sampleBoxes([1, 0, 0, 0, 0], rule, random()).negatives.length, 3);
  assertEquals(sampleBoxes([1, 1, -1], rule, random()), { positives: [0, 1], negatives: [] });
  assertEquals(sampleBoxes([0, 1, 0, -1, 2], everything, random()), {
    positives: [1, 4],
    negatives: [0, 2],
  });
});

Deno.test("low quality: an anchor keeps its own object, or goes to the one that has nothing better", () => {
  // The second object overlaps the one anchor best, but the anchor overlaps the first more.
  const objects = Float32Array.of(0, 0, 10, 10, 0, 0, 10, 6);
  const anchors = Float32Array.of(0, 0, 10, 12);
  const rule = { positive: 0.9, negative: 0.3 };
  assertEquals([...matchBoxes(objects, anchors, rule)], [ignored]);
  assertEquals([...matchBoxes(objects, anchors, { ...rule, lowQuality: "own" })], [0]);
  assertEquals([...matchBoxes(objects, anchors, { ...rule, lowQuality: "given" })], [1]);
  const strict = { ...rule, lowQuality: "given", leastLowQuality: 0.6 } as const;
  assertEquals([...matchBoxes(objects, anchors, strict)], [0]);
  assertEquals([...matchBoxes(nothing, anchors, rule)], [background]);
  assertThrows(
    () => matchBoxes(objects, anchors, { positive: 0.3, negative: 0.7 }),
    ConfigurationError,
    "background below 0.7",
  );
});

Deno.test("boxes without area overlap nothing, and never become NaN", () => {
  const empty = Float32Array.of(3, 3, 3, 3);
  assertEquals([...iouMatrix(empty, Float32Array.of(3, 3, 3, 3, 0, 0, 9, 9))], [0, 0]);
  assertEquals(pyramidLevels(empty), Uint8Array.of(0));
  assertEquals(nms(Float32Array.of(3, 3, 3, 3, 3, 3, 3, 3), [1, 1], 0.5), [0, 1]);
});

Deno.test("encoding is undone by decoding", () => {
  const boxes = Float32Array.of(1, 2, 11, 32, 5, 5, 8, 9);
  const targets = Float32Array.of(0, 4, 14, 30, 6, 5, 9, 8.5);
  const decoded = decodeBoxes(encodeBoxes(targets, boxes, [10, 10, 5, 5]), boxes, [10, 10, 5, 5]);
  decoded.forEach((value, at) => assert(Math.abs(value - targets[at]) < 1e-5));
  assertThrows(() => encodeBoxes(targets, boxes.slice(4), [1, 1, 1, 1]), ShapeError, "2 targets for 1");
  assertThrows(() => decodeBoxes(targets.slice(2), boxes, [1, 1, 1, 1]), ShapeError, "6 numbers for 2");
});

Deno.test("the best scores are found among equal ones by their order", () => {
  const scores = Float32Array.of(0.5, 0.9, 0.5, 0.1, 0.5, 0.9);
  assertEquals(topScores(scores, 3), [1, 5, 0]);
  assertEquals(topScores(scores, 4), [1, 5, 0, 2]);
  assertEquals(topScores(scores, 10), [1, 5, 0, 2, 4, 3]);
  assertEquals(topScores(scores, 0), []);
});

Deno.test("groups never suppress each other", () => {
  const boxes = Float32Array.of(0, 0, 10, 10, 0, 0, 10, 9, 0, 0, 10, 10);
  assertEquals(groupedNms(boxes, [0.5, 0.9, 0.9], [7, 7, 2], 0.5), [1, 2]);
  assertEquals(groupedNms(nothing, [], [], 0.5), []);
});

Deno.test("codes may be each class's own, or one for all", () => {
  const proposals = Float32Array.of(0, 0, 20, 20);
  const image = { height: 40, width: 40 };
  const logits = Float32Array.of(0, 1, 4);
  // The box of the second class is moved by half a width.
  const codes = new Float32Array(12);
  codes[8] = 5;
  const rule = { ...detection, scoreThreshold: 0.5 };
  const own = detect(proposals, logits, codes, image, rule);
  assertEquals([...own.labels], [2]);
  assertEquals([...own.boxes], [10, 0, 30, 20]);
  const one = detect(proposals, logits, Float32Array.of(0, 5, 0, 0), image, rule);
  assertEquals([...one.boxes], [0, 10, 20, 30]);
  assertThrows(() => detect(proposals, logits, new Float32Array(8), image, rule), ShapeError, "8 codes");
});

Deno.test("images without objects, proposals or detections are no special case", () => {
  const image = { height: 20, width: 30 };
  const none = { boxes: nothing, labels: [] };
  const match = { positive: 0.5, negative: 0.5, lowQuality: "own" } as const;
  const anchors = Float32Array.of(0, 0, 5, 5, 5, 5, 9, 9);
  const targets = anchorTargets(anchors, none, { match, sample: everything }, random());
  assertEquals(targets, { positives: [], negatives: [0, 1], codes: nothing });
  const rule = { match, sample: everything, weights: [1, 1, 1, 1] } as const;
  const regions = regionTargets(anchors, none, rule, random());
  assertEquals([...regions.labels], [0, 0]);
  assertEquals(regions.codes, new Float32Array(8));
  assertEquals(regionTargets(nothing, none, rule, random()).boxes, nothing);
  assertEquals(maskTargets([], image, nothing, []), nothing);
  assertEquals(detect(nothing, nothing, nothing, image, detection).boxes, nothing);
  const sifting = { beforeNms: 10, afterNms: 10, nmsThreshold: 0.7, leastSide: 1 };
  // An anchor outside the image: nothing is left of it.
  const outside = {
    objectness: Float32Array.of(1),
    deltas: new Float32Array(4),
    anchors: Float32Array.of(-9, -9, -2, -2),
    anchorsPerPosition: 1,
  };
  assertEquals(selectProposals([outside], image, sifting).boxes, nothing);
  assertThrows(
    () => selectProposals([{ ...outside, deltas: nothing }], image, sifting),
    ShapeError,
    "1 logits, 0 deltas",
  );
});

Deno.test("pasted masks stay within their image", () => {
  const image = { height: 8, width: 6 };
  const full = new Float32Array(784).fill(1);
  const over = pasteMask(full, [-10, -10, 20, 20], image);
  assertEquals([over.x, over.y, over.width, over.height], [0, 0, 6, 8]);
  assertEquals(maskPixels(over, image), new Uint8Array(48).fill(1));
  for (const rule of ["expanded", "centres"] as const) {
    assertEquals(maskPixels(pasteMask(full, [50, 50, 60, 60], image, rule), image), new Uint8Array(48), rule);
  }
  assertEquals(pasteMask(full, [3, 3, 3, 5], image, "centres").values, nothing);
  const inner = maskPixels(pasteMask(full, [1, 2, 4, 6], image, "centres"), image);
  assertEquals(inner.reduce((sum, value) => sum + value), 12);
});

Deno.test("boxes follow their image's size; anchors say for how many maps they are", () => {
  const resized = resizeBoxes(Float32Array.of(10, 20, 30, 40), { height: 100, width: 50 }, {
    height: 50,
    width: 100,
  });
  assertEquals([...resized], [20, 10, 60, 20]);
  const settings = { sizes: [[8], [16, 32]], ratios: [0.5, 1, 2], rounded: true };
  assertEquals(anchorsPerPosition(settings), [3, 6]);
  const map = { height: 2, width: 2 };
  assertThrows(() => gridAnchors(settings, [map], map), ShapeError, "2 maps for 1 maps");
});
