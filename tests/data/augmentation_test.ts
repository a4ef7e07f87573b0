/** The drawn parameters of the augmentation. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import {
  type AugmentationSettings,
  drawParameters,
  type SampleParameters,
  viewRandom,
} from "../../src/data/augmentation.ts";

const settings: AugmentationSettings = {
  crop: { scale: [0.2, 1], ratio: [3 / 4, 4 / 3] },
  flip: 0.5,
  jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, probability: 0.8 },
  grayscale: 0.2,
  blur: { probability: 0.5, sigma: [0.1, 2] },
};
const square = { width: 224, height: 224 };

function draws(
  count: number,
  changes: Partial<AugmentationSettings> = {},
  image = square,
): SampleParameters[] {
  return Array.from(
    { length: count },
    (_, index) => drawParameters({ ...settings, ...changes }, viewRandom(1, 0, index, 0), image),
  );
}

/** Within five standard deviations of what was expected of independent draws. */
function assertShare(found: boolean[], probability: number): void {
  const share = found.filter(Boolean).length / found.length;
  const deviation = Math.sqrt(probability * (1 - probability) / found.length);
  assert(Math.abs(share - probability) < 5 * deviation, `a share of ${share}, expected ${probability}`);
}

function assertUniform(values: number[], low: number, high: number): void {
  assert(values.every((value) => value >= low && value <= high), `outside ${low} to ${high}`);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = (high - low) / Math.sqrt(12 * values.length);
  assert(Math.abs(mean - (low + high) / 2) < 5 * deviation, `mean ${mean} between ${low} and ${high}`);
}

Deno.test("a view is a function of seed, step, image and number of the view", () => {
  const draw = (seed: number, step: number, image: number, view: number) =>
    drawParameters(settings, viewRandom(seed, step, image, view), square);
  assertEquals(draw(1, 2, 3, 0), draw(1, 2, 3, 0));
  for (const other of [draw(2, 2, 3, 0), draw(1, 3, 3, 0), draw(1, 2, 4, 0), draw(1, 2, 3, 1)]) {
    assertNotEquals(other, draw(1, 2, 3, 0));
  }
});

Deno.test("parts come with their probability and from their range", () => {
  const drawn = draws(4000);
  assertShare(drawn.map(({ flip }) => flip), 0.5);
  assertShare(drawn.map(({ jitter }) => jitter.length > 0), 0.8);
  assertShare(drawn.map(({ grayscale }) => grayscale), 0.2);
  assertShare(drawn.map(({ sigma }) => sigma > 0), 0.5);
  assertUniform(drawn.map(({ sigma }) => sigma).filter((sigma) => sigma > 0), 0.1, 2);
  const steps = drawn.flatMap(({ jitter }) => jitter);
  for (const operation of ["brightness", "contrast", "saturation", "hue"] as const) {
    const amounts = steps.filter((step) => step.operation === operation).map(({ amount }) => amount);
    if (operation === "hue") assertUniform(amounts, -0.1, 0.1);
    else assertUniform(amounts, 0.6, 1.4);
    const jittered = drawn.filter(({ jitter }) => jitter.length > 0);
    assertShare(jittered.map(({ jitter }) => jitter[0].operation === operation), 1 / 4);
    assertShare(jittered.map(({ jitter }) => jitter[3].operation === operation), 1 / 4);
  }
});

Deno.test("crops have the wanted areas and ratios and lie inside the image", () => {
  for (const image of [square, { width: 500, height: 375 }, { width: 31, height: 32 }]) {
    const crops = draws(2000, {}, image).map(({ crop }) => crop);
    for (const { top, left, height, width } of crops) {
      assert([top, left, height, width].every(Number.isInteger) && top >= 0 && left >= 0);
      assert(height >= 1 && width >= 1 && top + height <= image.height && left + width <= image.width);
      // Sides are rounded to whole pixels.
      assert((width + 0.5) / (height - 0.5) >= 3 / 4 && (width - 0.5) / (height + 0.5) <= 4 / 3);
      assert((width + 0.5) * (height + 0.5) >= 0.2 * image.width * image.height);
    }
  }
  // Areas up to half of the image fit at any ratio: no try fails, so they are uniform.
  const small = draws(2000, { crop: { scale: [0.2, 0.5], ratio: [3 / 4, 4 / 3] } });
  assertUniform(small.map(({ crop }) => crop.width * crop.height / 224 ** 2), 0.198, 0.502);
  assertUniform(small.map(({ crop }) => (crop.top + 0.5) / (224 - crop.height + 1)), 0, 1);
  assertUniform(small.map(({ crop }) => (crop.left + 0.5) / (224 - crop.width + 1)), 0, 1);
});

Deno.test("where no crop fits, the central one nearest to the wanted ratios is taken", () => {
  const [wide, tall, tiny] = [{ width: 100, height: 8 }, { width: 8, height: 100 }, { width: 1, height: 1 }]
    .map((image) => draws(1, { crop: { scale: [1, 1], ratio: [3 / 4, 4 / 3] } }, image)[0].crop);
  assertEquals(wide, { top: 0, left: 44, height: 8, width: 11 });
  assertEquals(tall, { top: 44, left: 0, height: 11, width: 8 });
  assertEquals(tiny, { top: 0, left: 0, height: 1, width: 1 });
});

Deno.test("switching one part off leaves the others as they were", () => {
  const all = draws(200);
  const without = (changes: Partial<AugmentationSettings>, parts: Partial<SampleParameters>) =>
    assertEquals(draws(200, changes), all.map((one) => ({ ...one, ...parts })));
  without({ crop: null }, { crop: { top: 0, left: 0, height: 224, width: 224 } });
  without({ flip: 0 }, { flip: false });
  without({ jitter: null }, { jitter: [] });
  without({ grayscale: 0 }, { grayscale: false });
  without({ blur: null }, { sigma: 0 });
  assertEquals(
    draws(200, { jitter: { ...settings.jitter!, hue: 0 } }),
    all.map((one) => ({ ...one, jitter: one.jitter.filter(({ operation }) => operation !== "hue") })),
  );
});

Deno.test("two parts are drawn independently of each other", () => {
  const drawn = draws(4000);
  assertShare(drawn.map(({ flip, grayscale }) => flip && grayscale), 0.1);
  assertShare(drawn.map(({ flip, sigma }) => flip && sigma > 0), 0.25);
  assertShare(drawn.map(({ jitter, sigma }) => jitter.length > 0 && sigma > 0), 0.4);
  const twice = Array.from(
    { length: 4000 },
    (_, index) =>
      [0, 1].every((view) => drawParameters(settings, viewRandom(1, 0, index, view), square).flip),
  );
  assertShare(twice, 0.25);
});
