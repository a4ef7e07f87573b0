import { assert, assertEquals, assertThrows } from "@std/assert";
import { drawPolygons } from "../../../src/data/dense/polygon.ts";
import {
  commonArea,
  compressRuns,
  packMask,
  parseRuns,
  runsArea,
  runsBox,
  runsOf,
  uniteRuns,
  unpackMask,
} from "../../../src/data/dense/run_lengths.ts";
import { DataError, ShapeError } from "../../../src/errors.ts";
import { purpose, Random } from "../../../src/random.ts";
import golden from "../../golden/coco.json" with { type: "json" };
import { type SegmentationField, toRuns } from "./segmentation_field.ts";

function randomMask(random: Random, pixels: number, share: number) {
  return Uint8Array.from({ length: pixels }, () => random.chance(share) ? 1 : 0);
}

Deno.test("masks of pycocotools: polygons, runs, texts, areas and boxes, to the bit", () => {
  assert(golden.masks.length > 10);
  for (const { name, height, width, segmentation, counts, compressed, area, bbox } of golden.masks) {
    const runs = toRuns(segmentation as SegmentationField, height, width);
    assertEquals(Array.from(runs.counts), counts, name);
    assertEquals(compressRuns(runs), compressed, name);
    assertEquals(parseRuns(compressed, height, width), runs, name);
    assertEquals([runsArea(runs), runsBox(runs)], [area, bbox as unknown], name);
    assertEquals(packMask(unpackMask(runs), height, width), runs, name);
  }
});

Deno.test("runs against masks: there and back, area, box, union, intersection", () => {
  const random = new Random(1, purpose.test);
  for (let round = 0; round < 60; round++) {
    const height = 1 + random.integer(9), width = 1 + random.integer(9);
    const share = random.pick([0, 0.1, 0.5, 0.9, 1]);
    const one = randomMask(random, height * width, share), other = randomMask(random, height * width, 0.4);
    const runs = packMask(one, height, width), others = packMask(other, height, width);
    assertEquals(unpackMask(runs), one);
    assertEquals(parseRuns(compressRuns(runs), height, width), runs);
    assertEquals(unpackMask(uniteRuns([runs, others])), one.map((value, at) => value | other[at]));
    assertEquals(
      uniteRuns([runs, others]),
      packMask(one.map((value, at) => value | other[at]), height, width),
    );
    const sum = (mask: Uint8Array) => mask.reduce((total, value) => total + value, 0);
    assertEquals(runsArea(runs), sum(one));
    assertEquals(commonArea(runs, others), sum(one.map((value, at) => value & other[at])));
    const ones = [...one.keys()].filter((at) => one[at]);
    const columns = ones.map((at) => at % width), rows = ones.map((at) => Math.floor(at / width));
    const [x, y] = [Math.min(...columns), Math.min(...rows)];
    const box = [x, y, Math.max(...columns) + 1 - x, Math.max(...rows) + 1 - y];
    assertEquals(runsBox(runs), ones.length === 0 ? [0, 0, 0, 0] : box as unknown);
  }
});

Deno.test("long runs keep their bits in the text", () => {
  const height = 20_000, width = 20_000;
  const runs = runsOf([5, 1, 399_999_000, 900, 94], height, width);
  assertEquals(parseRuns(compressRuns(runs), height, width), runs);
});

Deno.test("what is no mask is refused with its reason", () => {
  const cases: [() => unknown, string][] = [
    [() => runsOf([3, 4], 2, 3), "add up to 7 pixels; 3 x 2 pixels are 6"],
    [() => runsOf([3, -1, 4], 2, 3), "run 1 of a mask is -1"],
    [() => runsOf([1.5, 4.5], 2, 3), "run 0 of a mask is 1.5"],
    [() => parseRuns("6 ", 2, 3), 'letter 1 of the runs of a mask is " "'],
    [() => parseRuns("6~", 2, 3), "which none has"],
    [() => parseRuns("o", 2, 3), "end early"],
    [() => parseRuns("oooooooooo1", 2, 3), "longer than any image"],
    [() => parseRuns("", 2, 3), "add up to 0 pixels"],
    [() => drawPolygons([[1, 2, 3, 4]], 5, 5), "4 coordinates"],
    [() => drawPolygons([[1, 2, 3, 4, 5, 6, 7]], 5, 5), "7 coordinates"],
    [() => drawPolygons([[1, 2, 3, NaN, 5, 6]], 5, 5), "coordinate 3 of a polygon is NaN"],
    [() => drawPolygons([[1, 2, 3, 1e300, 5, 6]], 5, 5), "coordinate 3 of a polygon is 1e+300"],
    [() => drawPolygons([], 5, 5), "no polygon"],
  ];
  for (const [act, message] of cases) assertThrows(act, DataError, message);
  assertThrows(() => packMask([1, 0], 2, 3), ShapeError, "6 values, not 2");
  assertThrows(
    () => commonArea(packMask([1, 0], 1, 2), packMask([1, 0], 2, 1)),
    ShapeError,
    "2 x 1 and 1 x 2",
  );
});

Deno.test("polygons: a repeated vertex changes nothing, pixels count from their middle", () => {
  const square = drawPolygons([[1, 1, 3, 1, 3, 3, 1, 3]], 4, 4);
  assertEquals(drawPolygons([[1, 1, 1, 1, 3, 1, 3, 3, 3, 3, 1, 3, 1, 3]], 4, 4), square);
  assertEquals(runsBox(square), [1, 1, 2, 2]);
  assertEquals(runsArea(drawPolygons([[-9, -9, 99, -9, 99, 99, -9, 99]], 4, 5)), 20);
});
