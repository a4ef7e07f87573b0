/** A fine-tuning that takes a second: a small network on 48 drawn images of ten classes. */
import { extractSubnet } from "../../src/extract/extract.ts";
import { openLabelledImages } from "../../src/extract/labelled_images.ts";
import type { PlainModel } from "../../src/extract/model.ts";
import type { GridTask } from "../../src/finetune/grid.ts";
import { type FineTuneSettings, fullDefaults } from "../../src/finetune/settings.ts";
import type { FineTuneState } from "../../src/finetune/state.ts";
import { openTrainingViews } from "../../src/finetune/training_images.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { stateTensors } from "../../src/train/state_file.ts";
import { basicSpace, livelyEncoder } from "../extract/encoders.ts";

const input = { imageSize: 16, mean: [0.5, 0.5, 0.5] as const, std: [0.25, 0.25, 0.25] as const };

/** The smallest subnet of a random network. */
export async function smallModel(gpu: Gpu, seed = 1): Promise<PlainModel> {
  const encoder = livelyEncoder(gpu, basicSpace, seed);
  const model = await extractSubnet(encoder, encoder.network.space.min, input, undefined);
  encoder.release();
  return model;
}

/** Two epochs of six steps of 8 images, the least of a step. */
export const smallSettings: FineTuneSettings = { ...fullDefaults, epochs: 2, batch: 16 };

/** Lends the task; its images are closed afterwards. */
export async function withTask(
  gpu: Gpu,
  settings: Partial<FineTuneSettings>,
  use: (task: GridTask) => Promise<void>,
): Promise<void> {
  const onWarning = (text: string) => {
    throw new Error(text);
  };
  const images = await openLabelledImages(gpu, {
    data: "synthetic:48",
    testData: "synthetic:10",
    input,
    seed: 1,
    onWarning,
  });
  const { bank } = images;
  const training = await openTrainingViews(gpu, {
    data: "synthetic:48",
    input,
    dataSeed: 1,
    seed: 1,
    pool: bank.indices,
    onWarning,
  });
  try {
    await use({
      model: await smallModel(gpu),
      classes: 10,
      views: training.views,
      shown: training.shown,
      labels: bank.labels,
      indices: bank.indices,
      settings: { ...smallSettings, ...settings },
      evaluation: bank,
      calibrate: 48,
    });
  } finally {
    training.release();
    images.release();
  }
}

/** All of a state's bits. */
export async function bitsOf(state: FineTuneState): Promise<Map<string, number[]>> {
  const named = [...stateTensors(state)];
  const contents = await state.objective.gpu.read(...named.map(([, tensor]) => tensor));
  return new Map(named.map(([name], at) => [name, [...new Uint32Array(contents[at])]]));
}
