/** Tensors and parameters for benchmarks. */
import type { Gpu } from "../src/gpu/device.ts";
import { purpose, Random } from "../src/random.ts";
import type { Parameter } from "../src/tensor/parameter.ts";
import { Tensor } from "../src/tensor/tensor.ts";
import { elements, type Shape } from "../src/shape.ts";

/** A few random numbers used over and over: speed does not depend on the values, unless they are all zero. */
const pattern = (() => {
  const random = new Random(1, purpose.test);
  return Float32Array.from({ length: 4099 }, () => random.uniform(-1, 1));
})();

/** Values in [-1, 1). */
export function filledTensor(gpu: Gpu, shape: Shape): Tensor {
  return Tensor.from(
    gpu,
    Float32Array.from({ length: elements(shape) }, (_, at) => pattern[at % 4099]),
    shape,
  );
}

/** A parameter with values in [-1, 1), with or without a gradient. */
export function filledParameter(gpu: Gpu, shape: Shape, gradient: boolean): Parameter {
  return {
    name: "weight",
    value: filledTensor(gpu, shape),
    gradient: gradient ? Tensor.zeros(gpu, shape) : undefined,
  };
}

/** Gives the memory of tensors and parameters back. */
export function releaseAll(...operands: (Tensor | Parameter)[]): void {
  for (const operand of operands) {
    if (operand instanceof Tensor) operand.release();
    else {
      operand.value.release();
      operand.gradient?.release();
    }
  }
}
