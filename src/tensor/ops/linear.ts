/** A linear layer over the leading features of a stored weight. */
import { ShapeError } from "../../errors.ts";
import type { Parameter } from "../parameter.ts";
import type { Tape } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { launchBiasGradient } from "./bias.ts";
import { launchWeightGradient } from "./convolution_launch.ts";
import { launchProduct, matrixOf, transposed } from "./matmul.ts";

/** What a linear layer does with its weight. */
export interface LinearOptions {
  /** Active outputs: the first so many rows of the stored weight. Default: all. */
  readonly outFeatures?: number;
}

/**
 * output = input weight^T (+ bias), as `torch.nn.functional.linear`.
 *
 * @param input [N, F]; its F features are the first F columns of the weight
 * @param weight stored [>= outFeatures, >= F]
 * @param bias stored [>= outFeatures]; undefined for none
 * @returns [N, outFeatures]
 */
export function linear(
  tape: Tape,
  input: Tensor,
  weight: Parameter,
  bias?: Parameter,
  options: LinearOptions = {},
): Tensor {
  const [rows, features] = input.shape;
  const [storedOut, stored] = weight.value.shape;
  const { outFeatures = storedOut } = options;
  if (input.shape.length !== 2 || features > stored || outFeatures > storedOut) {
    throw new ShapeError(
      `linear ${weight.name}: [${input.shape.join(", ")}] -> ${outFeatures} features do not fit the stored ` +
        `[${weight.value.shape.join(", ")}]`,
    );
  }
  if (bias && outFeatures > bias.value.length) {
    throw new ShapeError(`linear ${bias.name}: ${outFeatures} features; the bias has ${bias.value.length}`);
  }
  const { gpu } = tape;
  const stores = matrixOf(weight.value, outFeatures, features, stored);
  const output = tape.create([rows, outFeatures]);
  launchProduct(
    gpu,
    matrixOf(input, rows, features),
    transposed(stores),
    { tensor: output, accumulate: false },
    { bias: bias?.value },
  );
  const backward = (gradOutput: Tensor) => {
    const weightTarget = tape.gradientOf(weight);
    if (weightTarget) {
      launchWeightGradient(gpu, input, gradOutput, weightTarget.tensor, {
        images: rows,
        inChannels: features,
        inHeight: 1,
        inWidth: 1,
        outChannels: outFeatures,
        outHeight: 1,
        outWidth: 1,
        storedInChannels: stored,
        kernelY: 1,
        kernelX: 1,
        stride: 1,
        paddingY: 0,
        paddingX: 0,
        dilation: 1,
      });
    }
    const biasTarget = bias && tape.gradientOf(bias);
    if (biasTarget) launchBiasGradient(gpu, gradOutput, biasTarget.tensor);
    const target = tape.gradientOf(input);
    if (target) launchProduct(gpu, matrixOf(gradOutput, rows, outFeatures), stores, target);
  };
  tape.record({
    operation: `linear ${weight.name}`,
    result: output,
    inputs: [input, weight, bias],
    backward,
  });
  return output;
}
