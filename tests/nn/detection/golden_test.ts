/** Boxes, anchors, matching, suppression, targets and masks against torchvision's, exactly where they decide something. */
import { assertEquals } from "@std/assert";
import { cellAnchors, gridAnchors } from "../../../src/nn/detection/anchors.ts";
import { decodeBoxes, encodeBoxes } from "../../../src/nn/detection/box_coder.ts";
import {
  type Boxes,
  clipBoxes,
  type ImageSize,
  iouMatrix,
  joinBoxes,
} from "../../../src/nn/detection/boxes.ts";
import { detect } from "../../../src/nn/detection/detections.ts";
import { matchBoxes } from "../../../src/nn/detection/matcher.ts";
import { groupedNms, nms } from "../../../src/nn/detection/nms.ts";
import { pasteMask, type PasteRule } from "../../../src/nn/detection/paste.ts";
import { selectProposals } from "../../../src/nn/detection/proposals.ts";
import { everything } from "../../../src/nn/detection/sampler.ts";
import { anchorTargets, maskTargets, regionTargets } from "../../../src/nn/detection/targets.ts";
import { purpose, Random } from "../../../src/random.ts";
import { assertClose, type GoldenCase, goldenCases } from "../../helpers.ts";

const size = ([height, width]: readonly number[]): ImageSize => ({ height, width });
const numbers = (one: GoldenCase, name: string) => [...one.get(name).data];
const random = () => new Random(1, purpose.test);

/** Boxes that were computed: equal up to a few roundings, where exponentials may differ in the last bit. */
function assertBoxes(found: Boxes, one: GoldenCase, name: string): void {
  assertEquals(found.length, one.get(name).data.length, `${one.name} ${name}`);
  assertClose(found, one.get(name).data, 1e-6, `${one.name} ${name}`);
}

function anchorsOf({ parameters: { sizes, ratios, rounded = true, maps, padded } }: GoldenCase): Boxes[] {
  return gridAnchors({ sizes, ratios, rounded }, maps.map(size), size(padded));
}

Deno.test("anchors are torchvision's, or detectron2's without rounding", async () => {
  for (const one of await goldenCases("anchors")) {
    const found = joinBoxes(...anchorsOf(one));
    if (one.parameters.rounded) assertEquals([...found], numbers(one, "anchors"), one.name);
    else assertBoxes(found, one, "anchors");
  }
  const corners = [-23, -11, 23, 11, -16, -16, 16, 16, -11, -23, 11, 23];
  assertEquals([...cellAnchors([32], { ratios: [0.5, 1, 2], rounded: true })], corners);
});

Deno.test("boxes are encoded, decoded, clipped and compared as torchvision's", async () => {
  for (const one of await goldenCases("box_coder")) {
    const [boxes, targets, codes] = ["boxes", "targets", "codes"].map((name) => one.get(name).data);
    const { weights } = one.parameters;
    assertBoxes(encodeBoxes(targets, boxes, weights), one, "encoded");
    const decoded = decodeBoxes(codes, boxes, weights);
    assertBoxes(decoded, one, "decoded");
    assertBoxes(clipBoxes(decoded, { height: 60, width: 80 }), one, "clipped");
    assertEquals([...iouMatrix(targets, boxes)], numbers(one, "iou"));
  }
});

Deno.test("boxes match the objects that torchvision gives them, ties and low quality included", async () => {
  for (const one of await goldenCases("matcher")) {
    const { positive, negative, lowQuality } = one.parameters;
    const rule = { positive, negative, lowQuality: lowQuality ? "own" as const : undefined };
    const found = matchBoxes(one.get("objects").data, one.get("boxes").data, rule);
    assertEquals([...found], numbers(one, "matches"), one.name);
  }
});

Deno.test("boxes are suppressed as torchvision's, equal scores by their order", async () => {
  for (const one of await goldenCases("nms")) {
    const [boxes, scores, groups] = ["boxes", "scores", "groups"].map((name) => one.get(name).data);
    const { threshold } = one.parameters;
    assertEquals(nms(boxes, scores, threshold), numbers(one, "kept"), one.name);
    assertEquals(groupedNms(boxes, scores, groups, threshold), numbers(one, "keptGroups"), one.name);
  }
});

Deno.test("proposals are torchvision's", async () => {
  for (const one of await goldenCases("proposals")) {
    const { beforeNms, afterNms, image } = one.parameters;
    const levels = anchorsOf(one).map((anchors, level) => ({
      objectness: one.get(`objectness${level}`).data,
      deltas: one.get(`deltas${level}`).data,
      anchors,
      anchorsPerPosition: 3,
    }));
    const rule = { beforeNms, afterNms, nmsThreshold: 0.7, leastSide: 1e-3 };
    assertBoxes(selectProposals(levels, size(image), rule).boxes, one, "boxes");
  }
});

Deno.test("targets of anchors are torchvision's", async () => {
  const [one] = await goldenCases("anchor_targets");
  const objects = { boxes: one.get("objects").data, labels: [1, 1, 1, 1, 1, 1] };
  const match = { positive: 0.7, negative: 0.3, lowQuality: "own" } as const;
  const found = anchorTargets(joinBoxes(...anchorsOf(one)), objects, { match, sample: everything }, random());
  assertEquals([...found.positives], numbers(one, "positives"));
  assertEquals([...found.negatives], numbers(one, "negatives"));
  assertBoxes(found.codes, one, "codes");
});

Deno.test("targets of regions are torchvision's, the objects' own boxes among them", async () => {
  const [one] = await goldenCases("region_targets");
  const found = regionTargets(
    one.get("proposals").data,
    { boxes: one.get("objects").data, labels: one.get("classes").data },
    { match: { positive: 0.5, negative: 0.5 }, sample: everything, weights: [10, 10, 5, 5] },
    random(),
  );
  assertEquals([...found.boxes], numbers(one, "boxes"));
  assertEquals([...found.labels], numbers(one, "labels"));
  assertEquals([...found.objects], numbers(one, "matched"));
  assertBoxes(found.codes, one, "codes");
});

Deno.test("targets of masks are torchvision's fractions, or binary", async () => {
  const [one] = await goldenCases("mask_targets");
  const { data, shape: [count, height, width] } = one.get("masks");
  const masks = Array.from(
    { length: count },
    (_, at) => Uint8Array.from(data.subarray(at * height * width, (at + 1) * height * width)),
  );
  const [boxes, matched] = ["boxes", "matched"].map((name) => one.get(name).data);
  const expected = one.get("targets").data;
  assertClose(maskTargets(masks, { height, width }, boxes, matched), expected, 1e-5, "targets");
  const binary = maskTargets(masks, { height, width }, boxes, matched, {
    bins: 28,
    aligned: false,
    binary: true,
  });
  expected.forEach((value, at) => {
    if (Math.abs(value - 0.5) > 1e-5) assertEquals(binary[at], Number(value > 0.5));
  });
});

Deno.test("detections are torchvision's", async () => {
  for (const one of await goldenCases("detections")) {
    const [proposals, logits, codes] = ["proposals", "logits", "codes"].map((name) => one.get(name).data);
    const found = detect(proposals, logits, codes, size(one.parameters.image), {
      scoreThreshold: one.parameters.scoreThreshold,
      nmsThreshold: 0.5,
      most: 20,
      leastSide: 1e-2,
      weights: [10, 10, 5, 5],
    });
    assertEquals([...found.labels], numbers(one, "labels"), one.name);
    assertBoxes(found.boxes, one, "boxes");
    assertBoxes(found.scores, one, "scores");
  }
});

Deno.test("masks are pasted as torchvision's, or as detectron2's", async () => {
  const [one] = await goldenCases("paste");
  const image = size(one.parameters.image);
  const masks = one.get("masks").data, boxes = one.get("boxes").data;
  for (const rule of ["expanded", "centres"] satisfies PasteRule[]) {
    for (let mask = 0; mask < 6; mask++) {
      const found = pasteMask(
        masks.subarray(784 * mask, 784 * (mask + 1)),
        boxes.subarray(4 * mask, 4 * mask + 4),
        image,
        rule,
      );
      const whole = new Float32Array(image.height * image.width);
      found.values.forEach((value, at) => {
        const y = found.y + Math.floor(at / found.width), x = found.x + at % found.width;
        whole[y * image.width + x] = value;
      });
      const pixels = image.height * image.width;
      const expected = one.get(rule).data.subarray(pixels * mask, pixels * (mask + 1));
      assertClose(whole, expected, 1e-5, `${rule} ${mask}`);
    }
  }
});
