/** A network of a model's architecture with new weights, to compare with. */
import { cutSubnet } from "../extract/cut.ts";
import type { PlainModel } from "../extract/model.ts";
import type { Gpu } from "../gpu/device.ts";
import { Encoder } from "../nn/encoder.ts";

/** Draws new weights; the same for the same seed. */
export async function newModel(
  gpu: Gpu,
  { network, input }: Pick<PlainModel, "network" | "input">,
  seed: number,
): Promise<PlainModel> {
  using encoder = new Encoder(gpu, network, undefined, false);
  await encoder.initialise(seed, { head: "uniform", lastBatchnorm: 1 });
  const weights = await cutSubnet(encoder, network.space.max, encoder.statistics);
  return { network, input, calibration: undefined, weights };
}
