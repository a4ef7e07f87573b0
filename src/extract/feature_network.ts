/** What makes features of images, whatever the network is: a run's, an extracted model's, another program's. */
import { evaluationBatchSize } from "../evaluate/batch_size.ts";
import { extractFeatures } from "../evaluate/features.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { featureChannels } from "../elastic/network.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { chooseColumns } from "./channel_order.ts";
import type { Calibration, ModelInput } from "./model.ts";
import type { FrozenNetwork } from "./network.ts";

/** A network that makes one row of features of each image. */
export interface FeatureNetwork {
  /** Where images are prepared. */
  readonly gpu: Gpu;
  /** Its architecture's id, or another name. */
  readonly name: string;
  /** The images that it expects. */
  readonly input: ModelInput;
  /** Undefined where batchnorm has the running statistics of pretraining, or nothing is known. */
  readonly calibration: Calibration | undefined;
  /** Features of an image. */
  readonly dimension: number;
  /** Images of a batch, at most. */
  readonly batch: number;
  /**
   * @param images [N, 3, imageSize, imageSize], normalised; released here
   * @returns [N, dimension]
   */
  features(images: Tensor): Promise<Float32Array<ArrayBuffer>>;
  /** Ends what was opened for it. */
  release(): Promise<void>;
}

/** The pooled features of a frozen network, which stays its owner's. */
export function pooledFeatures(network: FrozenNetwork): FeatureNetwork {
  const { encoder, architecture, statistics, input, calibration, featureOrder } = network;
  const { gpu } = encoder.weights;
  return {
    gpu,
    name: formatArchitecture(architecture),
    input,
    calibration,
    dimension: featureChannels(encoder.network, architecture),
    batch: evaluationBatchSize(gpu, encoder.network, architecture, input.imageSize),
    async features(images) {
      const { values } = await extractFeatures(encoder, architecture, "pooled", [images], statistics);
      return featureOrder ? chooseColumns(values, featureOrder) : values;
    },
    release: () => Promise.resolve(),
  };
}
