/** From a pretrained encoder to a plain model: recalibrate batchnorm, cut. */
import { DataError } from "../errors.ts";
import { recalibrate } from "../evaluate/calibrate.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { FinitenessCheck, tensorsAre } from "../nn/finiteness.ts";
import type { Statistics } from "../nn/weights.ts";
import type { StreamOrders } from "../pretrain/stream_orders.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { restoreOrder } from "./channel_order.ts";
import { cutSubnet } from "./cut.ts";
import type { Calibration, ModelInput, PlainModel } from "./model.ts";

/** Images to take batchnorm statistics from. */
export interface CalibrationImages extends Calibration {
  /** Normalised images [N, 3, H, W] in batches, from the start at every call; the reader releases them. */
  batches(): AsyncIterable<Tensor> | Iterable<Tensor>;
}

/**
 * Cuts a subnet out, with batchnorm statistics of its own.
 *
 * @param images undefined keeps the encoder's running statistics, a mixture over all architectures of training
 * @param streamOrders of the run, where it began with given weights: the outputs come in the order of their file
 * @throws {DataError} when the images give statistics that are not finite
 * @throws {ConfigurationError} when the architecture cannot be cut out of the encoder's network
 */
export async function extractSubnet(
  encoder: Encoder,
  architecture: Architecture,
  input: ModelInput,
  images: CalibrationImages | undefined,
  streamOrders: StreamOrders = [],
): Promise<PlainModel> {
  const network = encoder.network.cut(architecture);
  const cut = async (statistics: Statistics) =>
    await restoreOrder(network, await cutSubnet(encoder, architecture, statistics), streamOrders);
  if (!images) {
    return { network, input, calibration: undefined, weights: await cut(encoder.statistics) };
  }
  const statistics = await recalibrate(encoder, architecture, images.batches());
  try {
    await expectFiniteStatistics(statistics, images.source);
    const weights = await cut(statistics);
    return { network, input, calibration: { images: images.images, source: images.source }, weights };
  } finally {
    statistics.release();
  }
}

/**
 * Looks at statistics that were taken from images.
 *
 * @throws {DataError} naming one that is NaN or infinite
 */
export async function expectFiniteStatistics({ arena }: Statistics, source: string): Promise<void> {
  const finiteness = new FinitenessCheck(arena.gpu, [["", arena]]);
  const wrong = await finiteness.run();
  finiteness.release();
  if (wrong.length === 0) return;
  throw new DataError(
    `The batchnorm statistics of ${source} cannot be used: ${
      tensorsAre(wrong)
    } not finite. Check the images, ` +
      `data.mean and data.std.`,
  );
}
