/** A frozen network that is ready to make features: one architecture with batchnorm statistics that fit it. */
import type { Config } from "../config/schema.ts";
import { recalibrate } from "../evaluate/calibrate.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { Statistics } from "../nn/weights.ts";
import { type EncoderName, encoderPrefix, openEncoder } from "../pretrain/encoder_file.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { featureChannels } from "../elastic/network.ts";
import type { ImageRequest } from "../data/chosen_images.ts";
import { openCalibration } from "./calibration.ts";
import { orderOfFile } from "./channel_order.ts";
import { expectFiniteStatistics } from "./extract.ts";
import type { Calibration, ModelInput } from "./model.ts";
import { openModel } from "./model_file.ts";

/** An architecture of an encoder on the device, frozen. */
export interface FrozenNetwork {
  readonly encoder: Encoder;
  readonly architecture: Architecture;
  readonly statistics: Statistics;
  readonly input: ModelInput;
  /** Undefined for the running statistics of pretraining, which are a mixture over architectures. */
  readonly calibration: Calibration | undefined;
  /** Which channel comes at each place of the pooled features; undefined for the network's own order. */
  readonly featureOrder?: ArrayLike<number>;
}

/**
 * Opens an extracted model.
 *
 * @param onWarning as `readModel`
 * @throws {DataError} as `readModel`
 */
export async function openModelNetwork(
  gpu: Gpu,
  path: string,
  onWarning: (text: string) => void,
): Promise<FrozenNetwork> {
  const { encoder, network, input, calibration } = await openModel(gpu, path, onWarning);
  return { encoder, architecture: network.space.max, statistics: encoder.statistics, input, calibration };
}

/**
 * Opens an encoder of a checkpoint at one of its architectures, which gives the features of the model that
 * `extractSubnet` would cut out.
 *
 * @param name which of its encoders
 * @param config the checkpoint's configuration
 * @param request the images to take batchnorm statistics from; undefined keeps the running ones
 * @param onProgress told how many of them are done; an error that it throws ends the work
 * @throws {DataError} for a file that is no checkpoint, or too few images
 */
export async function openRunNetwork(
  gpu: Gpu,
  checkpoint: string,
  name: EncoderName,
  config: Config,
  architecture: Architecture,
  request: ImageRequest | undefined,
  onProgress: (done: number, total: number) => void,
): Promise<FrozenNetwork> {
  const { imageSize, mean, std } = config.data;
  const { encoder, streamOrders } = await openEncoder(gpu, checkpoint, encoderPrefix(name));
  const order = streamOrders.at(-1);
  const featureOrder = order && orderOfFile(order, featureChannels(encoder.network, architecture));
  const network = { encoder, architecture, input: { imageSize, mean, std }, featureOrder };
  if (!request) return { ...network, statistics: encoder.statistics, calibration: undefined };
  const opened = await openCalibration(gpu, config, request);
  try {
    const { images, source } = opened;
    onProgress(0, images);
    const statistics = await recalibrate(
      encoder,
      architecture,
      opened.batches((done) => onProgress(done, images)),
    );
    await expectFiniteStatistics(statistics, source);
    return { ...network, statistics, calibration: { images, source } };
  } finally {
    opened.release();
  }
}
