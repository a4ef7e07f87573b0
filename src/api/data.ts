/**
 * Images: folders, shards, CIFAR-10 files, ready-made tensors, drawn ones; and the views of them that networks are given.
 * @module
 */

export type { DataSource } from "../config/data_source.ts";
export { openSource } from "../data/source.ts";
export {
  type DecodedImage,
  type ImageSource,
  type SkippedFile,
  type SourceOptions,
  type TensorSource,
} from "../data/image_set.ts";
export { streamImages, type StreamSettings } from "../data/stream.ts";
export { openViews } from "../data/views.ts";
export { type EvaluationBatch, type ViewMaker, type ViewSettings } from "../data/view_maker.ts";
export { LoadedImages, type LoadSettings, type StepViews } from "../data/loaded_images.ts";
