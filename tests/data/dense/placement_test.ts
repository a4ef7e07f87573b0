import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  type DenseAugmentation,
  drawDense,
  drawDetection,
  usualColours,
} from "../../../src/data/dense/draw.ts";
import {
  batchSize,
  boxesAtSource,
  detectionSize,
  labelsAtSource,
  placeLabels,
  type Placement,
  placeObjects,
  slidingWindows,
  wholePlacement,
  windowCounts,
} from "../../../src/data/dense/placement.ts";
import { packMask } from "../../../src/data/dense/run_lengths.ts";
import type { Instance, InstanceTarget, LabelTarget } from "../../../src/data/dense/target.ts";
import { DataError, ShapeError } from "../../../src/errors.ts";
import { purpose, Random } from "../../../src/random.ts";
import { sourceMiddle } from "./placement_reference.ts";

const random = new Random(5, purpose.test);

function randomLabels(width: number, height: number, classes: number): LabelTarget {
  const values = Uint8Array.from({ length: width * height }, () => random.integer(classes));
  return { kind: "labels", width, height, values };
}

function randomPlacement(width: number, height: number): Placement {
  const resized = { height: 1 + random.integer(2 * height), width: 1 + random.integer(2 * width) };
  const top = random.integer(resized.height), left = random.integer(resized.width);
  return {
    source: { width, height },
    resized,
    window: {
      top,
      left,
      height: 1 + random.integer(resized.height - top),
      width: 1 + random.integer(resized.width - left),
    },
    flip: random.chance(0.5),
  };
}

Deno.test("sizes of detectors are torchvision's", () => {
  // height, width, short side, long side; and what torchvision 0.14 makes of them, before and after padding
  const table = [
    [480, 640, 800, 1333, 800, 1066, 800, 1088],
    [427, 640, 800, 1333, 799, 1199, 800, 1216],
    [500, 375, 800, 1333, 1066, 799, 1088, 800],
    [256, 256, 224, 400, 224, 224, 224, 224],
    [100, 1000, 800, 1333, 133, 1333, 160, 1344],
    [360, 480, 240, 400, 240, 320, 256, 320],
    [33, 57, 64, 100, 57, 99, 64, 128],
    [256, 320, 256, 360, 256, 320, 256, 320],
    [1024, 2048, 800, 1333, 666, 1333, 672, 1344],
    [612, 612, 800, 1333, 800, 800, 800, 800],
    [17, 999, 320, 640, 10, 639, 32, 640],
  ];
  for (const [height, width, shortSide, longSide, ...expected] of table) {
    const size = detectionSize({ height, width }, { shortSide, longSide });
    const padded = batchSize([size], 32);
    assertEquals([size.height, size.width, padded.height, padded.width], expected, `${width} x ${height}`);
  }
  const nearest = { shortSide: 800, longSide: 1333, rounding: "nearest" } as const;
  assertEquals(detectionSize({ height: 480, width: 640 }, nearest), { height: 800, width: 1067 });
  assertEquals(batchSize([{ height: 33, width: 9 }, { height: 1, width: 64 }], 32), {
    height: 64,
    width: 64,
  });
  assertThrows(
    () => detectionSize({ height: 1, width: 9000 }, { shortSide: 8, longSide: 16 }),
    DataError,
    "too narrow",
  );
});

Deno.test("labels follow the geometry by nearest neighbours, padding around them", () => {
  for (let round = 0; round < 40; round++) {
    const target = randomLabels(1 + random.integer(12), 1 + random.integer(12), 200);
    const placement = randomPlacement(target.width, target.height);
    const { window } = placement;
    const size = { height: window.height + random.integer(4), width: window.width + random.integer(4) };
    const shown = placeLabels(target, placement, size, 255);
    const counts = new Uint32Array(256);
    for (let y = 0; y < size.height; y++) {
      for (let x = 0; x < size.width; x++) {
        const value = shown[y * size.width + x];
        if (y >= window.height || x >= window.width) {
          assertEquals(value, 255);
          continue;
        }
        const [middleX, middleY] = sourceMiddle(placement, x, y, target);
        assertEquals(value, target.values[Math.floor(middleY) * target.width + Math.floor(middleX)]);
        counts[value]++;
      }
    }
    assertEquals(windowCounts(target, placement), counts);
  }
});

Deno.test("what fits no photo or no input is refused", () => {
  const target = randomLabels(4, 3, 9), placement = wholePlacement({ width: 4, height: 3 });
  assertEquals(placeLabels(target, placement, target, 255), target.values);
  assertThrows(
    () => placeLabels(target, placement, { width: 4, height: 2 }, 255),
    ShapeError,
    "does not fit",
  );
  assertThrows(
    () => placeLabels(randomLabels(3, 4, 9), placement, target, 255),
    ShapeError,
    "is not one of 3 x 4",
  );
});

Deno.test("predictions go back to the label's resolution, where they were cut off they are padding", () => {
  for (let round = 0; round < 40; round++) {
    const source = { width: 1 + random.integer(9), height: 1 + random.integer(9) };
    const factor = 1 + random.integer(3);
    // At whole factors every pixel is shown, and comes back.
    const resized = { width: factor * source.width, height: factor * source.height };
    const target: LabelTarget = {
      kind: "labels",
      ...source,
      values: randomLabels(source.width, source.height, 9).values,
    };
    const placement = { ...wholePlacement(source, resized), flip: random.chance(0.5) };
    const size = batchSize([resized], 4);
    const shown = placeLabels(target, placement, size, 77);
    assertEquals(labelsAtSource(shown, placement, size, 255), target.values);
  }
  const placement: Placement = {
    source: { width: 4, height: 2 },
    resized: { width: 4, height: 2 },
    window: { top: 1, left: 1, height: 1, width: 2 },
    flip: true,
  };
  const back = labelsAtSource(Uint8Array.of(5, 6), placement, { width: 2, height: 1 }, 255);
  assertEquals([...back], [255, 255, 255, 255, 255, 6, 5, 255]);
});

function instance(box: Instance["box"], changes: Partial<Instance> = {}): Instance {
  return { id: 1, classIndex: 2, box, area: box[2] * box[3], crowd: false, ignored: false, ...changes };
}

Deno.test("boxes and masks follow the geometry; crowds, ignored and tiny ones are left out", () => {
  const mask = packMask([0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1], 3, 4);
  const target: InstanceTarget = {
    kind: "instances",
    width: 4,
    height: 3,
    imageId: 1,
    instances: [
      instance([0, 0, 4, 3], { crowd: true, mask }),
      instance([1, 0, 2, 2], { mask }),
      instance([0, 0, 1, 1], { ignored: true, mask }),
      instance([3.7, 0, 0.3, 3], { mask }),
      instance([1, 1, -3, 1], { mask }),
      instance([2, 1, 9, 9], { mask, classIndex: 0 }),
    ],
  };
  const placement: Placement = {
    source: { width: 4, height: 3 },
    resized: { width: 8, height: 6 },
    window: { top: 1, left: 0, height: 5, width: 7 },
    flip: true,
  };
  const placed = placeObjects(target, placement);
  // From the right end of the window: 7 - 6, 7 - 2; and 7 - 7 (clipped), 7 - 4.
  assertEquals([...placed.boxes], [1, 0, 5, 3, 0, 1, 3, 5]);
  assertEquals([[...placed.labels], [...placed.instances], placed.dropped], [[3, 1], [1, 5], 2]);
  assertEquals([placed.width, placed.height], [7, 5]);
  const expected = [0, 1, 2, 3, 4].map((y) =>
    [0, 1, 2, 3, 4, 5, 6].map((x) => {
      const [u, v] = [Math.floor((6 - x) / 2), Math.floor((y + 1) / 2)];
      return [[0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]][v][u];
    })
  );
  assertEquals([...placed.masks![0]], expected.flat());
  // Back in the photo, but for what was cut off.
  assertEquals([...boxesAtSource(placed.boxes, placement)], [1, 0.5, 3, 2, 2, 1, 3.5, 3]);
});

Deno.test("boxes go there and back", () => {
  for (let round = 0; round < 20; round++) {
    const target = { kind: "instances", width: 40, height: 30, imageId: 1 } as const;
    const box = [
      random.uniform(1, 15),
      random.uniform(1, 10),
      random.uniform(9, 20),
      random.uniform(9, 15),
    ] as const;
    const resized = { width: 30 + random.integer(90), height: 30 + random.integer(90) };
    const placement = { ...wholePlacement(target, resized), flip: random.chance(0.5) };
    const { boxes } = placeObjects({ ...target, instances: [instance(box)] }, placement);
    const [x0, y0, x1, y1] = boxesAtSource(boxes, placement);
    [x0, y0, x1 - x0, y1 - y0].forEach((value, at) => assertAlmostEquals(value, box[at], 1e-4));
  }
});

Deno.test("sliding windows cover the whole, the last moved back inside", () => {
  const windows = slidingWindows({ height: 1024, width: 2048 }, { height: 769, width: 769 }, {
    height: 513,
    width: 513,
  });
  assertEquals([...new Set(windows.map(({ top }) => top))], [0, 255]);
  assertEquals([...new Set(windows.map(({ left }) => left))], [0, 513, 1026, 1279]);
  assertEquals(slidingWindows({ height: 5, width: 6 }, { height: 8, width: 6 }, { height: 3, width: 3 }), [
    { top: 0, left: 0, height: 5, width: 6 },
  ]);
});

const settings: DenseAugmentation = {
  scale: [0.5, 2],
  base: null,
  crop: { height: 20, width: 28 },
  mostOfOneClass: 0.75,
  flip: 0.5,
  colour: usualColours,
};

Deno.test("draws belong to seed, step and image, and stay within their ranges", () => {
  const target = randomLabels(48, 36, 3);
  const draw = (seed: number, step: number, index: number) =>
    drawDense(settings, { seed, step, index }, target);
  assertEquals(draw(1, 2, 3), draw(1, 2, 3));
  for (const other of [draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4)]) assertNotEquals(other, draw(1, 2, 3));
  const seen = new Set<string>();
  let flips = 0, steps = 0;
  for (let step = 0; step < 200; step++) {
    const { placement: { resized, window, flip, source }, colours } = draw(1, step, 0);
    seen.add(JSON.stringify([resized, window]));
    flips += Number(flip);
    steps += colours.length;
    assertEquals(source, { height: 36, width: 48 });
    assert(
      resized.height >= 18 && resized.height <= 72 && Math.abs(resized.width / resized.height - 4 / 3) < 0.06,
    );
    assertEquals([window.height, window.width], [Math.min(20, resized.height), Math.min(28, resized.width)]);
    assert(window.top + window.height <= resized.height && window.left + window.width <= resized.width);
    for (const { operation, amount } of colours) {
      const most = { add: 32 / 255, hue: 0.1, multiply: 1.5, chroma: 1.5 }[operation];
      assert(amount <= most && amount >= (operation === "add" || operation === "hue" ? -most : 0.5));
    }
  }
  assert(
    seen.size > 170 && flips > 70 && flips < 130 && steps > 340 && steps < 460,
    `${seen.size} ${flips} ${steps}`,
  );
});

Deno.test("switching colours or the scale's base off leaves the other draws as they were", () => {
  const target = randomLabels(48, 36, 3);
  for (let step = 0; step < 10; step++) {
    const at = { seed: 1, step, index: 5 };
    const plain = drawDense({ ...settings, colour: null }, at, target);
    assertEquals(plain, { ...drawDense(settings, at, target), colours: [] });
    const fitted = drawDense({ ...settings, base: { longSide: 48, shortSide: 36 } }, at, target);
    assertEquals(fitted, drawDense(settings, at, target));
  }
});

Deno.test("windows that one class fills are drawn again", () => {
  // One class but for a small part on the right.
  const values = Uint8Array.from({ length: 60 * 20 }, (_, at) => at % 60 < 45 ? 0 : at % 60 < 50 ? 255 : 1);
  const target: LabelTarget = { kind: "labels", width: 60, height: 20, values };
  const share = (mostOfOneClass: number) => {
    let mixed = 0;
    for (let step = 0; step < 200; step++) {
      const { placement } = drawDense({ ...settings, scale: [1, 1], mostOfOneClass }, {
        seed: 3,
        step,
        index: 0,
      }, target);
      const [first, second] = windowCounts(target, placement);
      mixed += Number(Math.max(first, second) / (first + second) < 0.75);
    }
    return mixed / 200;
  };
  const once = share(1), again = share(0.75);
  assert(once < 0.3 && again > 0.7, `${once} ${again}`);
});

Deno.test("detectors see whole photos, at one of some sizes, mirrored or not", () => {
  const target: InstanceTarget = { kind: "instances", width: 64, height: 48, imageId: 1, instances: [] };
  const ranges = { shortSides: [48, 96, 480], longSide: 640, flip: 0.5, colour: null };
  const seen = new Set<string>();
  for (let step = 0; step < 60; step++) {
    const { placement, colours } = drawDetection(ranges, { seed: 1, step, index: 2 }, target);
    assertEquals(colours, []);
    assertEquals(placement.window, { top: 0, left: 0, ...placement.resized });
    seen.add(`${placement.resized.width} x ${placement.resized.height} ${placement.flip}`);
  }
  const expected = ["64 x 48", "128 x 96", "640 x 480"].flatMap((size) => [`${size} false`, `${size} true`]);
  assertEquals([...seen].sort(), expected.sort());
});
