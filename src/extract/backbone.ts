/** A subnet of a checkpoint as a backbone: batchnorm statistics are of the images that it will be trained on. */
import type { DataSource } from "../config/data_source.ts";
import type { Config } from "../config/schema.ts";
import type { ImageRequest } from "../data/chosen_images.ts";
import type { Architecture } from "../elastic/architecture.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { StreamOrders } from "../pretrain/stream_orders.ts";
import { openCalibration } from "./calibration.ts";
import { extractSubnet } from "./extract.ts";
import type { PlainModel } from "./model.ts";

/** Images that statistics are taken from, at most: a head is trained on far more, and takes its own where it may. */
const calibrationImages = 256;

/** An opened encoder of a checkpoint. */
export interface OpenedEncoder {
  readonly config: Config;
  readonly encoder: Encoder;
  readonly streamOrders: StreamOrders;
}

/**
 * Cuts a backbone out. Statistics of a run are a mixture over all its architectures, which a head whose backbone keeps them
 * would stand on.
 *
 * @param images that it will be trained on
 * @throws {DataError} for fewer than two images
 */
export async function cutBackbone(
  gpu: Gpu,
  { config, encoder, streamOrders }: OpenedEncoder,
  architecture: Architecture,
  images: { readonly source: DataSource } & Pick<ImageRequest, "record">,
): Promise<PlainModel> {
  // What is to be said of the images is said where they are opened to be trained on.
  const request = { ...images, images: calibrationImages, onWarning() {} };
  const calibration = await openCalibration(gpu, config, request);
  try {
    const { imageSize, mean, std } = config.data;
    const batches = { ...calibration, batches: () => calibration.batches(() => {}) };
    return await extractSubnet(encoder, architecture, { imageSize, mean, std }, batches, streamOrders);
  } finally {
    calibration.release();
  }
}
