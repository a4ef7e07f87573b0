/**
 * Projections that begin as identities must be such also where batchnorm takes the statistics of a batch, in training and
 * recalibration: weight and bias undo the normalisation, so they are the deviation and mean of what comes in, on the run's
 * own images. What comes in does not depend on the architecture.
 */
import type { Config } from "../../config/schema.ts";
import { evaluationBatchSize } from "../../evaluate/batch_size.ts";
import { recalibrate } from "../../evaluate/calibrate.ts";
import type { Gpu } from "../../gpu/device.ts";
import { configuredNetwork } from "../../nn/configured_network.ts";
import { Encoder } from "../../nn/encoder.ts";
import { purpose, Random } from "../../random.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { RunData } from "../run_data.ts";
import { epsilon } from "./identities.ts";
import type { InitialWeights } from "./initial_weights.ts";

/** Images that statistics are taken from, at most. */
const mostImages = 512;

/**
 * Makes the batchnorms of such projections hand on what they get in training, too: from statistics of training images.
 *
 * @returns the weights with these; the same where there are no such projections
 */
export async function settleIdentities(
  gpu: Gpu,
  config: Config,
  initial: InitialWeights,
  { train, views }: Pick<RunData, "train" | "views">,
): Promise<InitialWeights> {
  if (initial.identities.length === 0) return initial;
  const network = configuredNetwork(config);
  using encoder = new Encoder(gpu, network, undefined, false);
  await encoder.initialise(config.training.seed, config.initialisation, initial.values);
  const { max } = network.space;
  const order = new Random(config.training.seed, purpose.calibration).permutation(train.length);
  const chosen = order.subarray(0, mostImages).map((index) => train[index]);
  const size = Math.min(evaluationBatchSize(gpu, network, max, views.height), config.training.batch);
  async function* batches(): AsyncGenerator<Tensor> {
    for (let first = 0; first < chosen.length; first += size) {
      // A last batch of one image has no statistics.
      if (first > 0 && chosen.length - first < 2) return;
      yield (await views.evaluationBatch(chosen.subarray(first, first + size))).images;
    }
  }
  using statistics = await recalibrate(encoder, max, batches());
  const values = new Map(initial.values);
  for (const name of initial.identities) {
    const found = statistics.of(name);
    const [mean, variance] = await Promise.all([found.mean.read(), found.variance.read()]);
    values.set(`${name}.running_mean`, mean);
    values.set(`${name}.running_var`, variance);
    values.set(`${name}.bias`, mean);
    values.set(`${name}.weight`, variance.map((value) => Math.sqrt(value + epsilon)));
  }
  return { ...initial, values };
}
