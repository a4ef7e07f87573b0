/**
 * From images of a source to network inputs on the device. One interface for both kinds of source, so that training,
 * evaluation and search do not ask what the images are.
 *
 * @example
 * ```ts ignore
 * const maker = await openViews(gpu, source, { ...config.data, augmentation: config.augmentation, seed, pool: split.train });
 * const [query, key] = await maker.views(step, [batch, shuffled]);
 * maker.prefetch(nextBatch);   // decodes while the device works on this one
 * ```
 */
import type { Gpu } from "../gpu/device.ts";
import { AugmentedViews } from "./augmented_views.ts";
import { GpuImages } from "./gpu_images.ts";
import type { ImageSource, TensorSource } from "./image_set.ts";
import { TensorViews } from "./tensor_views.ts";
import type { ViewMaker, ViewSettings } from "./view_maker.ts";

/** Opens the maker of views for a source, and uploads the source if it is small enough. */
export async function openViews(
  gpu: Gpu,
  source: ImageSource | TensorSource,
  settings: ViewSettings,
): Promise<ViewMaker> {
  if (source.kind === "tensor") return new TensorViews(gpu, source, settings.residentBytes);
  const evaluated = settings.augmentation === "none" ? settings : undefined;
  return new AugmentedViews(
    await GpuImages.open(gpu, source, settings.residentBytes, evaluated),
    settings,
  );
}
