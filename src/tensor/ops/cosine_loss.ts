/** How far rows point away from given directions: the loss of learning from another network's features. */
import { addConstant, addGradient } from "../gradient_target.ts";
import type { Tape } from "../tape.ts";
import { expectShape, Tensor } from "../tensor.ts";
import { l2Normalise } from "./l2_normalise.ts";
import { rowProducts } from "./row_products.ts";
import { launchMean } from "./softmax_parts.ts";

/**
 * 1 - cosine of the angle between corresponding rows, mean over the rows: 0 where all point alike, 2 where all are
 * opposite; as `1 - torch.nn.functional.cosine_similarity(input, directions).mean()`.
 *
 * @param input [N, D], rows of any length
 * @param directions [N, D], rows of length one; constants
 * @returns the mean loss, a scalar
 */
export function cosineLoss(tape: Tape, input: Tensor, directions: Tensor): Tensor {
  expectShape("cosineLoss", "the directions", directions.shape, input.shape);
  tape.expectConstants("cosineLoss", directions);
  const { gpu } = tape;
  const unit = l2Normalise(tape, input);
  const loss = tape.create([]);
  using products = rowProducts(gpu, unit, directions);
  using mean = Tensor.create(gpu, [1]);
  launchMean(gpu, products, mean);
  addGradient({ tensor: loss, accumulate: false }, mean, -1);
  addConstant({ tensor: loss, accumulate: true }, 1);
  const [rows] = input.shape;
  const backward = (gradLoss: Tensor) => {
    const target = tape.gradientOf(unit);
    if (target) addGradient(target, directions, -1 / rows, gradLoss);
  };
  tape.record({ operation: "cosineLoss", result: loss, inputs: [unit, directions], backward });
  return loss;
}
