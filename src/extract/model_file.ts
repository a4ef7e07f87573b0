/** Extracted models as `.safetensors` files: torchvision's names, and the description as metadata. */
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Encoder } from "../nn/encoder.ts";
import { featureChannels, weightsOf } from "../elastic/network.ts";
import type { Network } from "../nn/network.ts";
import { FinitenessCheck, tensorsAre } from "../nn/finiteness.ts";
import { classifierHead } from "../train/supervised/supervised.ts";
import { expectTensor, readSafetensors, type TensorOf, writeSafetensors } from "../store/safetensors.ts";
import {
  classifierNames,
  formatMetadata,
  type ModelDescription,
  parseMetadata,
  type PlainModel,
} from "./model.ts";

/** An extracted model on the device. */
export interface RunnableModel extends ModelDescription {
  /** Runs `network.space.max`. Its head is the classifier, if any. The caller releases it. */
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
 * @param supernet the network that the model was cut out of; without, it is a ResNet that describes itself
 * @throws {DataError} when the file is missing, damaged, no extracted model, or lacks tensors of its architecture
 */
export async function readModel(
  path: string,
  onWarning: (text: string) => void = () => {},
  supernet?: Network,
): Promise<PlainModel> {
  const file = await readSafetensors(path);
  const description = parseMetadata(file, supernet);
  if (file.checksum === undefined) {
    onWarning(`${path} was written by an older version and has no checksum: damage would not be noticed.`);
  }
  const { network, classes } = description;
  const { parameters, statistics } = weightsOf(network, network.space.max);
  const weights = new Map<string, TensorOf<"F32">>();
  const [weight, bias] = classifierNames;
  const shapes = [
    ...[...parameters].map(([name, { shape }]) => [name, shape] as const),
    ...statistics,
    ...classes
      ? [
        [weight, [classes.length, featureChannels(network, network.space.max)]] as const,
        [bias, [classes.length]] as const,
      ]
      : [],
  ];
  for (const [name, shape] of shapes) {
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
 * Brings a model to the device. Its encoder is used like a pretrained one, with `network.space.max` as architecture; its
 * projection is the logits of a model with a classifier.
 *
 * @throws {GpuError} when a tensor is larger than the adapter binds
 */
export function uploadModel(gpu: Gpu, model: PlainModel): RunnableModel {
  const head = model.classes && classifierHead(model.classes.length);
  const encoder = new Encoder(gpu, model.network, head, false);
  for (const arena of [encoder.weights.values, encoder.statistics.arena]) {
    for (const [name, tensor] of arena.entries()) {
      tensor.write(model.weights.get(name)!.data as Float32Array<ArrayBuffer>);
    }
  }
  const { weights: _, ...description } = model;
  return { ...description, encoder };
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
