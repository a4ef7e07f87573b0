/** RoIAlign against torchvision's, plain loops in float64, and its own adjoint. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { pyramidLevels } from "../../src/nn/detection/pyramid_levels.ts";
import type { Random } from "../../src/random.ts";
import { elements, type Shape } from "../../src/shape.ts";
import { type FeatureLevel, type Regions, roiAlign } from "../../src/tensor/ops/roi_align.ts";
import type { RoiSampling } from "../../src/tensor/ops/roi_align_table.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { add } from "../../src/tensor/ops/elementwise.ts";
import {
  assertClose,
  assertSame,
  forwardBackward,
  goldenCases,
  gpuTest,
  randomStreams,
  randomTensor,
  randomValues,
} from "../helpers.ts";

/** Where a bin's samples lie and which of them count, as written in the definition; one axis. */
function samplePositions(
  from: number,
  to: number,
  scale: number,
  { bins, samplingRatio, aligned }: RoiSampling,
) {
  const start = from * scale - (aligned ? 0.5 : 0);
  const size = aligned ? (to - from) * scale : Math.max((to - from) * scale, 1);
  const count = samplingRatio > 0 ? samplingRatio : Math.ceil(size / bins);
  return (bin: number) =>
    Array.from(
      { length: Math.max(count, 0) },
      (_, at) => start + bin * size / bins + (at + 0.5) * size / bins / count,
    );
}

/** Calls back with every pixel of one channel's plane that a bin of a region reads, and its weight. */
function forEachRead(
  box: ArrayLike<number>,
  scale: number,
  [height, width]: readonly number[],
  sampling: RoiSampling,
  visit: (bin: number, pixel: number, weight: number) => void,
): void {
  const rows = samplePositions(box[1], box[3], scale, sampling);
  const columns = samplePositions(box[0], box[2], scale, sampling);
  for (let bin = 0; bin < sampling.bins ** 2; bin++) {
    const ys = rows(Math.floor(bin / sampling.bins)), xs = columns(bin % sampling.bins);
    for (const y of ys) {
      for (const x of xs) {
        if (y < -1 || y > height || x < -1 || x > width) continue;
        const [top, left] = [[y, height], [x, width]].map(([v, length]) =>
          Math.min(Math.max(v, 0), length - 1)
        );
        for (const [dy, dx] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
          const row = Math.floor(top) + dy, column = Math.floor(left) + dx;
          const weight = (1 - Math.abs(top - row)) * (1 - Math.abs(left - column));
          if (weight > 0) visit(bin, row * width + column, weight / ys.length / xs.length);
        }
      }
    }
  }
}

/** Output and gradient of one map, in float64. */
function reference(
  input: Float32Array,
  [images, channels, height, width]: Shape,
  { boxes, images: owner }: Regions,
  scale: number,
  sampling: RoiSampling,
  gradOutput: ArrayLike<number>,
) {
  const bins = sampling.bins ** 2;
  const output = new Float64Array(owner.length * channels * bins);
  const gradient = new Float64Array(images * channels * height * width);
  for (let region = 0; region < owner.length; region++) {
    forEachRead(boxes.subarray(4 * region), scale, [height, width], sampling, (bin, pixel, weight) => {
      for (let channel = 0; channel < channels; channel++) {
        const from = (owner[region] * channels + channel) * height * width + pixel;
        const to = (region * channels + channel) * bins + bin;
        output[to] += weight * input[from];
        gradient[from] += weight * gradOutput[to];
      }
    });
  }
  return { output, gradient };
}

function randomRegions(
  random: Random,
  count: number,
  images: number,
  width: number,
  height: number,
): Regions {
  const boxes = new Float32Array(4 * count);
  for (let at = 0; at < count; at++) {
    const x = random.uniform(-0.2 * width, width), y = random.uniform(-0.2 * height, height);
    const shrink = random.uniform() ** 2;
    boxes.set([x, y, x + shrink * random.uniform(0, width), y + shrink * random.uniform(0, height)], 4 * at);
  }
  return { boxes, images: Uint32Array.from({ length: count }, () => random.integer(images)) };
}

gpuTest("RoIAlign is torchvision's", async (gpu) => {
  const cases = await goldenCases("roi_align");
  assertEquals(cases.length, 7);
  for (const one of cases) {
    const { scale, ...sampling } = one.parameters;
    const { data, shape } = one.get("input");
    const features = Tensor.from(gpu, data, shape);
    const regions = { boxes: one.get("boxes").data, images: one.get("images").data };
    const { output, gradients } = await forwardBackward(
      gpu,
      [features],
      one.get("gradOutput").data,
      (tape) => roiAlign(tape, [{ features, scale }], regions, sampling),
    );
    assertSame(output, one.get("output").data, one.tolerance.forward, one.name);
    assertSame(gradients[0], one.get("gradInput").data, one.tolerance.backward, `${one.name} gradient`);
  }
});

gpuTest("RoIAlign takes each region from its level of a pyramid, as torchvision's", async (gpu) => {
  const [one] = await goldenCases("roi_align_pyramid");
  const { scales, canonicalScale, ...sampling } = one.parameters;
  const boxes = one.get("boxes").data;
  const levels = pyramidLevels(boxes, { firstLevel: 2, levels: 4, canonicalScale, canonicalLevel: 4 });
  assertEquals([...levels], [...one.get("levels").data]);
  const maps = (scales as number[]).map((scale, level): FeatureLevel => {
    const { data, shape } = one.get(`input${level}`);
    return { features: Tensor.from(gpu, data, shape), scale };
  });
  const { output, gradients } = await forwardBackward(
    gpu,
    maps.map(({ features }) => features),
    one.get("gradOutput").data,
    (tape) => roiAlign(tape, maps, { boxes, images: one.get("images").data, levels }, sampling),
  );
  assertClose(output, one.get("output").data, one.tolerance.forward, "output");
  gradients.forEach((gradient, level) =>
    assertClose(gradient, one.get(`gradInput${level}`).data, one.tolerance.backward, `level ${level}`)
  );
});

gpuTest(
  "RoIAlign at random shapes is the loops of its definition, and its gradient is its adjoint",
  async (gpu) => {
    for (const [index, random] of randomStreams(71, 12).entries()) {
      const channels = [1, 3, 5, 17][index % 4];
      const shape = [1 + random.integer(3), channels, 1 + random.integer(24), 1 + random.integer(40)];
      const [images, , height, width] = shape;
      const sampling = { bins: 1 + random.integer(8), samplingRatio: index % 3, aligned: index % 2 === 1 };
      const regions = randomRegions(random, 1 + random.integer(40), images, 8 * width, 8 * height);
      const input = randomTensor(gpu, shape, index);
      const gradOutput = randomValues(regions.images.length * channels * sampling.bins ** 2, 100 + index);
      const { output, gradients } = await forwardBackward(
        gpu,
        [input],
        gradOutput,
        (tape) => roiAlign(tape, [{ features: input, scale: 1 / 8 }], regions, sampling),
      );
      const values = await input.read();
      const expected = reference(values, shape, regions, 1 / 8, sampling, gradOutput);
      const about = JSON.stringify({ shape, ...sampling });
      // Positions are float32: near pixel 40 their steps are 4e-6.
      assertClose(output, expected.output, 2e-5, about);
      assertClose(gradients[0], expected.gradient, 1e-4, about);
      const product = (a: ArrayLike<number>, b: ArrayLike<number>) =>
        Array.from(a).reduce((sum, value, at) => sum + value * b[at], 0);
      const size = Array.from(output).reduce(
        (sum, value, at) => sum + Math.abs(value * gradOutput[at]),
        1e-6,
      );
      const gap = Math.abs(product(output, gradOutput) - product(values, gradients[0]));
      assert(gap < 1e-5 * size, `${about}: the products differ by ${gap}`);
    }
  },
);

gpuTest("RoIAlign adds to a gradient that is there; a level without regions gives none", async (gpu) => {
  const maps = [8, 4].map((side, level) => ({
    features: randomTensor(gpu, [1, 3, side, side], level),
    scale: 1,
  }));
  const regions = { boxes: Float32Array.of(1, 1, 5, 6), images: [0], levels: [0] };
  const sampling = { bins: 2, samplingRatio: 2, aligned: false };
  const gradOutput = randomValues(12, 3);
  const alone = await forwardBackward(
    gpu,
    maps.map(({ features }) => features),
    gradOutput,
    (tape) => roiAlign(tape, maps, regions, sampling),
  );
  assertEquals([...alone.gradients[1]], new Array(48).fill(0));
  const twice = await forwardBackward(gpu, [maps[0].features, maps[1].features], gradOutput, (tape) => {
    const align = () => roiAlign(tape, maps, regions, sampling);
    return add(tape, align(), align());
  });
  assertClose(twice.gradients[0], alone.gradients[0].map((value) => 2 * value), 1e-6, "added");
});

gpuTest("RoIAlign of no regions is nothing, and its gradient zero", async (gpu) => {
  const features = randomTensor(gpu, [2, 3, 5, 7], 1);
  const tape = new Tape(gpu, true);
  tape.watch(features);
  const none = roiAlign(
    tape,
    [{ features, scale: 1 }],
    { boxes: new Float32Array(0), images: [] },
    { bins: 7, samplingRatio: 2, aligned: false },
  );
  assertEquals(none.shape, [0, 3, 7, 7]);
  const other = roiAlign(
    tape,
    [{ features, scale: 1 }],
    { boxes: Float32Array.of(0, 0, 4, 4), images: [1] },
    { bins: 1, samplingRatio: 2, aligned: false },
  );
  tape.backward([none, Tensor.create(gpu, none.shape)], [other, Tensor.zeros(gpu, other.shape)]);
  assertEquals([...await tape.take(features)!.read()], new Array(210).fill(0));
});

gpuTest("the same regions give the same bytes, in any number of runs", async (gpu) => {
  const [random] = randomStreams(5, 1);
  const shape = [2, 5, 20, 30];
  const regions = randomRegions(random, 200, 2, 30, 20);
  const features = randomTensor(gpu, shape, 1);
  const run = () =>
    forwardBackward(
      gpu,
      [features],
      randomValues(200 * 5 * 49, 2),
      (tape) =>
        roiAlign(tape, [{ features, scale: 1 }], regions, { bins: 7, samplingRatio: 2, aligned: false }),
    );
  const first = await run();
  const second = await run();
  assertEquals(second.gradients[0], first.gradients[0]);
  assertEquals(second.output, first.output);
});

gpuTest("RoIAlign says which regions it cannot take", (gpu: Gpu) => {
  const features = randomTensor(gpu, [2, 3, 5, 7], 1);
  const align = (regions: Regions, levels: FeatureLevel[] = [{ features, scale: 1 }], bins = 2) => () =>
    roiAlign(new Tape(gpu, false), levels, regions, { bins, samplingRatio: 0, aligned: false });
  const boxes = Float32Array.of(0, 0, 4, 4);
  assertThrows(align({ boxes, images: [2] }), ShapeError, "region 0 of image 2");
  assertThrows(align({ boxes, images: [0], levels: [1] }), ShapeError, "on map 1");
  assertThrows(align({ boxes, images: [0, 1] }), ShapeError, "4 coordinates and 0 levels for 2 regions");
  assertThrows(align({ boxes, images: [0] }, []), ShapeError, "given none");
  assertThrows(align({ boxes, images: [0] }, undefined, 0), ShapeError, "0 bins");
  assertThrows(align({ boxes: Float32Array.of(0, 0, NaN, 4), images: [0] }), ShapeError, "from 0 to NaN");
  assertThrows(align({ boxes: Float32Array.of(0, 0, 1e9, 4), images: [0] }), ShapeError, "Clip them");
  assertThrows(
    align({ boxes, images: [0] }, [{ features: features.view([2, elements([3, 5, 7])]), scale: 1 }]),
    ShapeError,
    "[2, 105]",
  );
  return Promise.resolve();
});
