import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { syntheticClasses, syntheticScene } from "../../src/data/synthetic/scene.ts";
import { textures } from "../../src/data/synthetic/textures.ts";
import { openImages } from "./open.ts";

Deno.test("a scene is a pure function of seed, index and size", () => {
  const first = syntheticScene(123, { seed: 7, size: 32 });
  syntheticScene(5, { seed: 7, size: 48 });
  assertEquals(syntheticScene(123, { seed: 7, size: 32 }), first);
  assertNotEquals(syntheticScene(123, { seed: 8, size: 32 }).image, first.image);
  assertNotEquals(syntheticScene(133, { seed: 7, size: 32 }).image, first.image);
});

Deno.test("masks and boxes agree with each other and with the label", () => {
  for (let index = 0; index < 200; index++) {
    const size = index % 2 ? 32 : 45;
    const { image, label, mask, boxes } = syntheticScene(index, { seed: 1, size });
    assertEquals([image.width, image.height, image.pixels.length], [size, size, 4 * size * size]);
    assert(image.pixels.every((value, at) => at % 4 !== 3 || value === 255));
    assertEquals(label, index % 10);
    const visible = Array.from(mask.keys()).filter((at) => mask[at] > 0);
    assert(visible.every((at) => mask[at] === label + 1));
    assert(visible.length > 0.55 * size * size, `image ${index}: only ${visible.length} pixels of texture`);
    const xs = visible.map((at) => at % size), ys = visible.map((at) => Math.floor(at / size));
    const expected = {
      x0: Math.min(...xs),
      y0: Math.min(...ys),
      x1: Math.max(...xs) + 1,
      y1: Math.max(...ys) + 1,
    };
    assertEquals(boxes, [{ ...expected, label }]);
  }
});

Deno.test("the texture covers most of the image, in varying parts", () => {
  const parts = Array.from({ length: 200 }, (_, index) => {
    const { mask } = syntheticScene(index, { seed: 2, size: 32 });
    return mask.reduce((sum, value) => sum + Math.min(1, value), 0) / mask.length;
  });
  const mean = parts.reduce((sum, part) => sum + part, 0) / parts.length;
  assert(mean > 0.75 && mean < 0.95, `mean coverage ${mean}`);
  assert(
    Math.min(...parts) < 0.75 && Math.max(...parts) > 0.97,
    `${Math.min(...parts)} to ${Math.max(...parts)}`,
  );
});

Deno.test("the same index at another size shows the same scene", () => {
  const small = syntheticScene(14, { seed: 3, size: 32 }).mask,
    large = syntheticScene(14, { seed: 3, size: 96 }).mask;
  let same = 0;
  for (let y = 0; y < 32; y++) {
    for (let x = 0; x < 32; x++) {
      if (small[32 * y + x] === large[96 * (3 * y + 1) + 3 * x + 1]) same++;
    }
  }
  assertEquals(same, 32 * 32);
});

Deno.test("textures repeat and have both ink and paper", () => {
  for (const { name, pattern } of textures) {
    let ink = 0;
    const height = name === "hexagons" || name === "triangles" ? 2 * Math.sqrt(3) : 5; // 5 cells are 8 rows of zigzag
    for (let i = 0; i < 400; i++) {
      const u = (i % 20) / 20 + 0.013, v = Math.floor(i / 20) / 20 + 0.017;
      const here = pattern(u, v, 0.5);
      if (here > 0) ink++;
      const shifted = pattern(u - 6, v - 2 * height, 0.5);
      assert(Math.abs(here - shifted) < 1e-9, `${name} at ${u}, ${v}: ${here} and ${shifted}`);
    }
    assert(ink > 60 && ink < 340, `${name}: ${ink} of 400 points are ink`);
  }
});

Deno.test("raw pixels hardly tell the classes apart: kNN stays under 30 %", async () => {
  const source = await openImages("synthetic:1280");
  const images = await source.load(Array.from({ length: 1280 }, (_, index) => index));
  const vectors = images.map((image) => {
    const values = Float32Array.from(image!.pixels.filter((_, at) => at % 4 !== 3));
    const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    return values.map((value) => value / norm);
  });
  let correct = 0;
  for (let query = 1024; query < 1280; query++) {
    const similarities = vectors.slice(0, 1024).map((vector, bank) => {
      let sum = 0;
      for (let i = 0; i < vector.length; i++) sum += vector[i] * vectors[query][i];
      return { sum, bank };
    });
    const votes = new Array(10).fill(0);
    for (const { sum, bank } of similarities.sort((a, b) => b.sum - a.sum).slice(0, 20)) {
      votes[source.labels![bank]] += Math.exp(sum / 0.1);
    }
    if (votes.indexOf(Math.max(...votes)) === source.labels![query]) correct++;
  }
  source.release();
  assert(correct / 256 < 0.3, `raw-pixel kNN accuracy ${correct / 256}`);
});

Deno.test("colour and brightness tell nothing of the class", () => {
  const means = Array.from({ length: 10 }, () => [0, 0, 0]);
  const images = 1000;
  for (let index = 0; index < images; index++) {
    const { pixels } = syntheticScene(index, { seed: 4, size: 16 }).image;
    for (let at = 0; at < pixels.length; at++) {
      if (at % 4 !== 3) means[index % 10][at % 4] += pixels[at] / (images / 10 * 256);
    }
  }
  // The mean of 100 images varies with a standard deviation of about 5.
  for (const mean of means.flat()) assert(Math.abs(mean - 125) < 20, `class means ${means}`);
});

Deno.test("the synthetic source is balanced, labelled and repeatable beyond its cache", async () => {
  const source = await openImages("synthetic:50", { imageSize: 24, seed: 9, cacheBytes: 3 * 4 * 24 * 24 });
  assertEquals([source.length, source.classes], [50, syntheticClasses]);
  const counts = new Array(10).fill(0);
  for (const label of source.labels!) counts[label]++;
  assertEquals(counts, new Array(10).fill(5));
  const indices = [49, 0, 7, 7, 30];
  const first = await source.load(indices);
  assertEquals(await source.load(indices), first);
  assertEquals(first[4], syntheticScene(30, { seed: 9, size: 24 }).image);
  source.release();
});
