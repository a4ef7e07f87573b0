/** A fine-tuned network as a plain model with its classifier. */
import { cutSubnet } from "../extract/cut.ts";
import { expectFiniteStatistics } from "../extract/extract.ts";
import { type Calibration, classifierNames, type PlainModel } from "../extract/model.ts";
import type { Statistics } from "../nn/weights.ts";
import type { FineTuneState } from "./state.ts";

/** A fine-tuned network on the device, and batchnorm statistics that were taken anew. */
export interface TunedNetwork {
  readonly state: Pick<FineTuneState, "model" | "objective">;
  readonly statistics: Statistics;
}

/**
 * Brings a fine-tuned network to the host.
 *
 * @param classes names of its classes, in the order of its logits
 * @param calibration what its batchnorm statistics were taken from
 * @throws {DataError} when these are not finite
 */
export async function tunedModel(
  { state: { model, objective: { gpu, encoder } }, statistics }: TunedNetwork,
  classes: readonly string[],
  calibration: Calibration,
): Promise<PlainModel> {
  await expectFiniteStatistics(statistics, calibration.source);
  const weights = new Map(await cutSubnet(encoder, encoder.network.space.max, statistics));
  const tensors = classifierNames.map((name) => encoder.weights.values.get(name));
  const contents = await gpu.read(...tensors);
  classifierNames.forEach((name, index) => {
    weights.set(name, { dtype: "F32", shape: tensors[index].shape, data: new Float32Array(contents[index]) });
  });
  return { network: model.network, input: model.input, calibration, classes, weights };
}
