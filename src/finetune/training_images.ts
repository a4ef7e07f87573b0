/** Images for supervised training: the same source as evaluation's, seen through random crops. */
import type { DataSource } from "../config/data_source.ts";
import { standIn } from "../data/batch.ts";
import { openSource } from "../data/source.ts";
import { storedSide } from "../data/stored_side.ts";
import { openViews } from "../data/views.ts";
import type { ViewMaker } from "../data/view_maker.ts";
import type { AugmentationSettings } from "../data/augmentation.ts";
import type { ModelInput } from "../extract/model.ts";
import type { Gpu } from "../gpu/device.ts";

/** What supervised training sees: torchvision's random resized crop with a milder scale, and flips. */
export const supervisedAugmentation = {
  crop: { scale: [0.2, 1], ratio: [3 / 4, 4 / 3] },
  flip: 0.5,
  jitter: null,
  grayscale: 0,
  blur: null,
} as const satisfies AugmentationSettings;

/** Which images, and how they are read. */
export interface TrainingImagesRequest {
  readonly data: DataSource;
  readonly input: ModelInput;
  /** Of synthetic images. */
  readonly dataSeed: number;
  /** Of the views. */
  readonly seed: number;
  /** Images that may stand in for a broken one, ascending. */
  readonly pool: Uint32Array;
  onWarning(message: string): void;
}

/** Opened images. */
export interface TrainingViews {
  readonly views: ViewMaker;
  /** The image that is seen in place of one: the next of the pool where its file turned out to be broken. */
  shown(index: number): number;
  release(): void;
}

/** Opens augmented views of a source; its images keep their numbers. */
export async function openTrainingViews(
  gpu: Gpu,
  { data, input, dataSeed, seed, pool, onWarning }: TrainingImagesRequest,
): Promise<TrainingViews> {
  const augmentation = {
    ...supervisedAugmentation,
    crop: { scale: [0.2, 1] as [number, number], ratio: [3 / 4, 4 / 3] as [number, number] },
  };
  const { imageSize } = input;
  const source = await openSource(data, {
    imageSize,
    storedSide: storedSide({ data: { imageSize, storedSide: "auto" }, augmentation }),
    seed: dataSeed,
    onWarning,
  });
  try {
    const views = await openViews(gpu, source, { ...input, augmentation, seed, pool });
    return {
      views,
      shown: (index) => standIn(index, pool, (other) => !source.broken?.has(other)),
      release() {
        views.release();
        source.release();
      },
    };
  } catch (error) {
    source.release();
    throw error;
  }
}
