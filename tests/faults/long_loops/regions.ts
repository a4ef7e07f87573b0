/** Large regions, and many of them over one pixel. */
import { roiAlign } from "../../../src/tensor/ops/roi_align.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, forwardBackward } from "../../helpers.ts";
import { type LongLoop, spread, sum } from "./case.ts";

export const regions: LongLoop[] = [
  {
    name: "RoIAlign of a region of 400x400 pixels in one bin",
    kernels: { roi_align: "cut" },
    async run(gpu) {
      const side = 400;
      const values = spread(side * side, 1);
      const features = Tensor.from(gpu, values, [1, 1, side, side]);
      const { output, gradients } = await forwardBackward(
        gpu,
        [features],
        Float32Array.of(1),
        (tape) =>
          roiAlign(tape, [{ features, scale: 1 }], {
            boxes: Float32Array.of(0, 0, side, side),
            images: [0],
          }, { bins: 1, samplingRatio: 0, aligned: true }),
      );
      // Aligned, one sample a pixel: the mean.
      assertClose(output, [sum(values.length, (at) => values[at]) / values.length], 1e-5, "mean");
      assertClose(gradients[0], new Float32Array(values.length).fill(1 / values.length), 1e-5, "gradient");
    },
  },
  {
    name: "RoIAlign of 3 000 regions within one pixel",
    kernels: { roi_align_gradient: "cut", roi_align: "short" },
    async run(gpu) {
      const count = 3000, bins = 7;
      const features = Tensor.from(gpu, Float32Array.of(3), [1, 1, 1, 1]);
      const gradOutput = spread(count * bins * bins, 2);
      const { output, gradients } = await forwardBackward(
        gpu,
        [features],
        gradOutput,
        (tape) =>
          roiAlign(tape, [{ features, scale: 1 }], {
            boxes: Float32Array.from({ length: 4 * count }, (_, at) => at % 4 < 2 ? 0 : 1),
            images: new Uint8Array(count),
          }, { bins, samplingRatio: 2, aligned: false }),
      );
      assertClose(output, new Float32Array(gradOutput.length).fill(3), 1e-6, "output");
      assertClose(gradients[0], [sum(gradOutput.length, (at) => gradOutput[at])], 1e-5, "gradient");
    },
  },
];
