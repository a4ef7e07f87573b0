/** Extracted models as `.safetensors` files: torchvision's names, and the description as metadata. */
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Encoder } from "../nn/encoder.ts";
import { FinitenessCheck, tensorsAre } from "../nn/finiteness.ts";
import { ElasticResNet } from "../nn/resnet.ts";
import { expectTensor, readSafetensors, type TensorOf, writeSafetensors } from "../store/safetensors.ts";
import { formatMetadata, type ModelDescription, parseMetadata, type PlainModel } from "./model.ts";

/** An extracted model on the device. */
export interface RunnableModel extends ModelDescription {
  /** Runs `space.max`; has no head. The caller releases it. */
  readonly encoder: Encoder;
}

/**
 * Writes a model, atomically.
 *
 * @throws {DataError} when the file system refuses
 */
export async function writeModel(path: string, model: PlainModel): Promise<void> {
  await writeSafetensors(path, model.weights, formatMetadata(model));
}

/**
 * Reads a model.
 *
 * @param onWarning told when the file is of an older version, whose damage nothing would show
 * @throws {DataError} when the file is missing, damaged, no extracted model, or lacks tensors of its architecture
 */
export async function readModel(
  path: string,
  onWarning: (text: string) => void = () => {},
): Promise<PlainModel> {
  const file = await readSafetensors(path);
  const description = parseMetadata(file);
  if (file.checksum === undefined) {
    onWarning(`${path} was written by an older version and has no checksum: damage would not be noticed.`);
  }
  const { parameters, statistics } = new ElasticResNet(description.space).shapes();
  const weights = new Map<string, TensorOf<"F32">>();
  for (const [name, shape] of [...parameters, ...statistics]) {
    weights.set(name, expectTensor(file, name, "F32", shape) as TensorOf<"F32">);
  }
  const unknown = [...file.tensors.keys()].find((name) => !weights.has(name));
  if (unknown === undefined) return { ...description, weights };
  throw new DataError(
    `${path} is damaged: its tensor "${unknown}" is not part of the architecture ${file.metadata.arch}. ` +
      `Extract the model again.`,
  );
}

/**
 * Brings a model to the device. Its encoder is used like a pretrained one, with `space.max` as architecture.
 *
 * @throws {GpuError} when a tensor is larger than the adapter binds
 */
export function uploadModel(gpu: Gpu, model: PlainModel): RunnableModel {
  const encoder = new Encoder(gpu, model.space, undefined, false);
  for (const arena of [encoder.weights.values, encoder.statistics.arena]) {
    for (const [name, tensor] of arena.entries()) {
      tensor.write(model.weights.get(name)!.data as Float32Array<ArrayBuffer>);
    }
  }
  return { space: model.space, input: model.input, calibration: model.calibration, encoder };
}

/**
 * Reads a model file and brings it to the device.
 *
 * @param onWarning as for {@linkcode readModel}
 * @throws {DataError} as {@linkcode readModel}, and when a weight is not finite
 */
export async function openModel(
  gpu: Gpu,
  path: string,
  onWarning?: (text: string) => void,
): Promise<RunnableModel> {
  const model = uploadModel(gpu, await readModel(path, onWarning));
  const { weights, statistics } = model.encoder;
  const finiteness = new FinitenessCheck(gpu, [["", weights.values], ["", statistics.arena]]);
  const wrong = await finiteness.run();
  finiteness.release();
  if (wrong.length === 0) return model;
  model.encoder.release();
  throw new DataError(`${path} cannot be used: ${tensorsAre(wrong)} not finite. Extract the model again.`);
}
