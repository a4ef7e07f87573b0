/** The augmentation's kernels against torchvision (tests/golden) and against plain float64 loops. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { augment, type AugmentTarget, type PlacedSample } from "../../src/data/augment.ts";
import {
  type AugmentationSettings,
  drawParameters,
  type JitterStep,
  type SampleParameters,
  viewRandom,
} from "../../src/data/augmentation.ts";
import { packImages } from "../../src/data/residency.ts";
import type { DecodedImage } from "../../src/data/image_set.ts";
import { DataError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { purpose, Random } from "../../src/random.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, type GoldenCase, goldenCases, gpuTest } from "../helpers.ts";
import { imageOfRgb } from "./images.ts";
import { referenceAugment } from "./augmentation_reference.ts";

const unnormalised = { mean: [0, 0, 0], std: [1, 1, 1] } as const;

/** [images, 3, height, width] bytes as one u32 a pixel. */
function pack(bytes: ArrayLike<number>, images: number, plane: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: images * plane }, (_, index) => {
    const at = Math.floor(index / plane) * 3 * plane + index % plane;
    return (bytes[at] | bytes[at + plane] << 8 | bytes[at + 2 * plane] << 16 | 255 << 24) >>> 0;
  });
}

interface GoldenSettings {
  crop: [number, number, number, number];
  flip: boolean;
  jitter: [JitterStep["operation"], number][];
  grayscale: boolean;
  sigma: number;
}

function parametersOf({ crop, flip, jitter, grayscale, sigma }: GoldenSettings): SampleParameters {
  const [top, left, height, width] = crop;
  return {
    crop: { top, left, height, width },
    flip,
    jitter: jitter.map(([operation, amount]) => ({ operation, amount })),
    grayscale,
    sigma,
  };
}

/** Each stage of a golden case, as what is left when the later parts are taken away. */
function stagesOf(one: GoldenCase): { name: string; only: (all: SampleParameters) => SampleParameters }[] {
  const bare = { flip: false, jitter: [], grayscale: false, sigma: 0 };
  return [
    { name: "cropped", only: (all) => ({ ...all, ...bare }) },
    { name: "flipped", only: (all) => ({ ...all, ...bare, flip: all.flip }) },
    ...[1, 2, 3, 4].map((count) => ({
      name: `jittered${count}`,
      only: (all: SampleParameters) => ({
        ...all,
        jitter: all.jitter.slice(0, count),
        grayscale: false,
        sigma: 0,
      }),
    })).filter(({ name }) => one.has(name)),
    { name: "grayscaled", only: (all) => ({ ...all, sigma: 0 }) },
    { name: "blurred", only: (all) => all },
  ];
}

gpuTest("augmentation against torchvision, stage by stage", async (gpu) => {
  const cases = await goldenCases("augmentation");
  assert(cases.length >= 7);
  for (const one of cases) {
    const { data, shape: [count, , height, width] } = one.get("images");
    const images = Tensor.from(gpu, pack(data, count, height * width));
    const [outHeight, outWidth] = one.parameters.size;
    const run = async (only: (all: SampleParameters) => SampleParameters, normalisation = unnormalised) => {
      const samples = one.parameters.images.map((settings: GoldenSettings, index: number): PlacedSample => ({
        offset: index * height * width,
        width,
        parameters: only(parametersOf(settings)),
      }));
      const target = { height: outHeight, width: outWidth, ...normalisation };
      const [output] = augment(gpu, images, [samples], target);
      const values = await output.read();
      output.release();
      return values;
    };
    for (const { name, only } of stagesOf(one)) {
      assertClose(await run(only), one.get(name).data, one.tolerance.forward, `${one.name} ${name}`);
    }
    const { mean, deviation } = one.parameters;
    const output = await run((all) => all, { mean, std: deviation });
    assertClose(output, one.get("output").data, one.tolerance.forward, `${one.name} output`);
    images.release();
  }
  assertEquals(gpu.pool.use.used, 0);
});

gpuTest("crops are torchvision's of photos, to the level that its rounding in between costs", async (gpu) => {
  for (const one of await goldenCases("resized_crop")) {
    const { data, shape: [height, width] } = one.get("image");
    const image = imageOfRgb(data, height, width);
    const [top, left, cropHeight, cropWidth] = one.parameters.crop;
    const [outHeight, outWidth] = one.parameters.size;
    const parameters = { ...wholeImage(image), crop: { top, left, height: cropHeight, width: cropWidth } };
    const target = { height: outHeight, width: outWidth, ...unnormalised };
    const [values] = await run(gpu, [image], [parameters], target);
    const expected = one.get("output").data;
    const plane = outHeight * outWidth;
    let largest = 0, mean = 0;
    values.forEach((value, at) => {
      const difference = Math.abs(255 * value - expected[at % plane * 3 + Math.floor(at / plane)]);
      largest = Math.max(largest, difference);
      mean += difference / values.length;
    });
    assert(largest <= 1.001 && mean < 0.4, `${one.name}: ${largest} levels at most, ${mean} on average`);
  }
});

/** An image of random pixels, or of random grays. */
function randomImage(width: number, height: number, seed: number, gray = false): DecodedImage {
  const random = new Random(seed, purpose.test);
  const pixels = new Uint8Array(4 * width * height);
  for (let at = 0; at < pixels.length; at += 4) {
    const colour = [random.integer(256), random.integer(256), random.integer(256)];
    pixels.set(gray ? [colour[0], colour[0], colour[0], 255] : [...colour, 255], at);
  }
  return { width, height, pixels };
}

/** Augments one sample of each image and gives the values of each. */
async function run(
  gpu: Gpu,
  images: DecodedImage[],
  parameters: SampleParameters[],
  target: AugmentTarget,
): Promise<Float32Array[]> {
  const { table, chunks } = packImages(images, gpu.pool.limit);
  const pixels = Tensor.from(gpu, chunks[0]);
  const samples = parameters.map((one, index): PlacedSample => ({
    offset: table[4 * index + 1],
    width: table[4 * index + 2],
    parameters: one,
  }));
  const [output] = augment(gpu, pixels, [samples], target);
  const values = await output.read();
  for (const tensor of [pixels, output]) tensor.release();
  const length = 3 * target.height * target.width;
  return parameters.map((_, index) => values.subarray(index * length, (index + 1) * length));
}

const mocoV2: AugmentationSettings = {
  crop: { scale: [0.2, 1], ratio: [3 / 4, 4 / 3] },
  flip: 0.5,
  jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, probability: 0.8 },
  grayscale: 0.2,
  blur: { probability: 0.5, sigma: [0.1, 2] },
};

const wholeImage = ({ width, height }: DecodedImage): SampleParameters => ({
  crop: { top: 0, left: 0, height, width },
  flip: false,
  jitter: [],
  grayscale: false,
  sigma: 0,
});

gpuTest("drawn augmentations of images of many sizes against float64 loops", async (gpu) => {
  const sizes = [[32, 32], [1, 1], [1, 9], [40, 3], [33, 20], [150, 90], [200, 300], [13, 64]];
  const images = Array.from(
    { length: 24 },
    (_, index) => randomImage(sizes[index % 8][0], sizes[index % 8][1], index),
  );
  const parameters = images.map((image, index) => drawParameters(mocoV2, viewRandom(7, 3, index, 0), image));
  assert(parameters.some(({ sigma }) => sigma > 0) && parameters.some(({ jitter }) => jitter.length === 0));
  for (const [height, width] of [[32, 32], [9, 13]]) {
    const target = { height, width, mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3] } as const;
    const found = await run(gpu, images, parameters, target);
    images.forEach((image, index) => {
      const expected = referenceAugment(image, parameters[index], target);
      assertClose(found[index], expected, 1e-4, `${width}x${height} of image ${index}`);
    });
  }
});

gpuTest("an image at its own size comes out as it went in", async (gpu) => {
  const image = randomImage(24, 24, 1);
  const [values] = await run(gpu, [image], [wholeImage(image)], { height: 24, width: 24, ...unnormalised });
  const bytes = values.map((value) => value * 255);
  const expected = [0, 1, 2].flatMap((channel) =>
    Array.from(image.pixels.filter((_, at) => at % 4 === channel))
  );
  assertEquals(Array.from(bytes, Math.round), expected);
});

gpuTest("shrinking an image averages it", async (gpu) => {
  const target = { height: 8, width: 8, ...unnormalised };
  const image = randomImage(320, 240, 2);
  const [values] = await run(gpu, [image], [wholeImage(image)], target);
  // Noise of deviation 0.29 averaged over hundreds of pixels; without antialiasing it would stay as it is.
  for (const value of values) assert(Math.abs(value - 0.5) < 0.06, `${value}`);
  const larger = randomImage(640, 480, 2);
  await assertRejects(
    () => run(gpu, [larger], [wholeImage(larger)], target),
    DataError,
    "640x480 pixels is too large to be resized to 8x8",
  );
});

gpuTest("a gray image stays gray, whatever the jitter", async (gpu) => {
  const settings = { ...mocoV2, jitter: { ...mocoV2.jitter!, hue: 0.5, probability: 1 } };
  const images = Array.from({ length: 8 }, (_, index) => randomImage(20, 20, index, true));
  const parameters = images.map((image, index) =>
    drawParameters(settings, viewRandom(1, 0, index, 0), image)
  );
  for (const values of await run(gpu, images, parameters, { height: 16, width: 16, ...unnormalised })) {
    assertEquals(values.subarray(0, 256), values.subarray(256, 512));
    assertEquals(values.subarray(0, 256), values.subarray(512, 768));
  }
});

gpuTest("a blur wider than the image reflects again and again", async (gpu) => {
  for (const [width, height] of [[5, 2], [1, 9], [12, 1]]) {
    const image = randomImage(width, height, 3);
    const parameters = { ...wholeImage(image), sigma: 3 };
    const target = { height, width, ...unnormalised };
    const [values] = await run(gpu, [image], [parameters], target);
    assertClose(values, referenceAugment(image, parameters, target), 1e-5, `${width}x${height}, blurred`);
  }
});

gpuTest("views, slabs and repetitions give the same bits", async (gpu) => {
  const image = randomImage(32, 32, 4);
  const pixels = Tensor.from(gpu, packImages([image], gpu.pool.limit).chunks[0]);
  const target = { height: 20, width: 11, ...unnormalised };
  const samples = Array.from({ length: 11 }, (_, index): PlacedSample => ({
    offset: 0,
    width: 32,
    parameters: drawParameters(mocoV2, viewRandom(5, 0, index, 0), image),
  }));
  const [whole] = augment(gpu, pixels, [samples], target);
  const expected = await whole.read();
  whole.release();
  for (const scratchBytes of [2 ** 28, 3 * 4 * 20 * 11 * 4]) {
    const views = augment(gpu, pixels, [samples.slice(0, 5), samples.slice(5)], target, scratchBytes);
    assertEquals(views.map(({ shape }) => shape), [[5, 3, 20, 11], [6, 3, 20, 11]]);
    const [first, second] = await Promise.all(views.map((view) => view.read()));
    assertEquals([...first, ...second], [...expected]);
    for (const view of views) view.release();
  }
  pixels.release();
});

gpuTest("parts that no sample has are not launched", async (gpu) => {
  const image = randomImage(16, 16, 5);
  const launches = async (parameters: Partial<SampleParameters>) => {
    const before = gpu.stream.dispatches;
    const target = { height: 16, width: 16, ...unnormalised };
    await run(gpu, [image], [{ ...wholeImage(image), ...parameters }], target);
    return gpu.stream.dispatches - before;
  };
  assertEquals(await launches({ grayscale: true, jitter: [{ operation: "hue", amount: 0.1 }] }), 1);
  assertEquals(await launches({ jitter: [{ operation: "contrast", amount: 1.2 }] }), 3);
  assertEquals(await launches({ sigma: 1 }), 3);
  assertEquals(await launches({ sigma: 1, jitter: [{ operation: "contrast", amount: 1.2 }] }), 5);
});
