/** Long loops of dense prediction's operations. */
import { bilinear } from "../../../src/tensor/ops/bilinear.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, forwardBackward } from "../../helpers.ts";
import { type LongLoop, spread, sum } from "./case.ts";

export const dense: LongLoop[] = [
  {
    name: "one row interpolated to 70 000",
    kernels: { bilinear_gradient: "cut" },
    async run(gpu) {
      const rows = 70_000;
      const input = Tensor.from(gpu, Float32Array.of(3), [1, 1, 1, 1]);
      const gradOutput = spread(rows, 1);
      const { output, gradients } = await forwardBackward(
        gpu,
        [input],
        gradOutput,
        (tape) => bilinear(tape, input, [rows, 1]),
      );
      assertClose(output, new Float32Array(rows).fill(3), 1e-6, "output");
      assertClose(gradients[0], [sum(rows, (at) => gradOutput[at])], 1e-5, "gradient");
    },
  },
];
