/**
 * Checkpoints: all of a {@linkcode PretrainState} in one safetensors file, under torchvision's names with MoCo's prefixes.
 * Whatever else a step depends on (order of the images, augmentation, architectures) is a function of seed and step.
 */
import { formatConfig, parseConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import {
  openSafetensors,
  type SafetensorsFile,
  type TensorData,
  writeSafetensors,
} from "../store/safetensors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { PretrainState } from "./state.ts";

/** Raised with every change of the tensors or of their meaning. */
export const checkpointFormat = "1";

/** Everything on the device that a checkpoint holds, under its name there. */
export function* stateTensors(state: PretrainState): Generator<[name: string, tensor: Tensor]> {
  const encoders = { encoder_q: state.queryEncoder, encoder_k: state.momentumEncoder };
  for (const [prefix, encoder] of Object.entries(encoders)) {
    for (const arena of [encoder.weights.values, encoder.statistics.arena]) {
      for (const [name, tensor] of arena.entries()) yield [`${prefix}.${name}`, tensor];
    }
  }
  for (const [name, tensor] of state.momentum.entries()) {
    yield [`optimizer.momentum.encoder_q.${name}`, tensor];
  }
  yield ["queue", state.queue];
}

/**
 * Writes a checkpoint, atomically.
 * @param epoch epochs that are complete
 */
export async function saveCheckpoint(state: PretrainState, epoch: number, ...paths: string[]): Promise<void> {
  const named = [...stateTensors(state)];
  const contents = await state.gpu.read(...named.map(([, tensor]) => tensor));
  const tensors: [string, TensorData][] = named.map(([name, { shape }], index) => [
    name,
    { dtype: "F32", shape, data: new Float32Array(contents[index]) },
  ]);
  tensors.push(["queue_pointer", { dtype: "I32", shape: [1], data: Int32Array.of(state.queuePointer) }]);
  const metadata = {
    format: checkpointFormat,
    config: formatConfig(state.config),
    step: String(state.step),
    epoch: String(epoch),
    losses: JSON.stringify(state.losses),
  };
  for (const path of paths) await writeSafetensors(path, tensors, metadata);
}

function expectCheckpoint(file: SafetensorsFile): void {
  const { format, step, config } = file.metadata;
  if (step === undefined || config === undefined) {
    throw new DataError(
      `${file.path} is not a checkpoint of Scion: its metadata has no step and configuration.`,
    );
  }
  if (format !== checkpointFormat) {
    throw new DataError(
      `${file.path} has checkpoint format ${format}; this version reads format ${checkpointFormat}. ` +
        `Use the version of Scion that wrote it.`,
    );
  }
}

/** The configuration that a checkpoint was made with. Throws {@linkcode DataError} for a file that is no checkpoint. */
export async function readCheckpointConfig(path: string): Promise<Config> {
  using file = await openSafetensors(path);
  expectCheckpoint(file);
  return parseConfig(JSON.parse(file.metadata.config), path);
}

/**
 * Reads a checkpoint into a state of the same configuration.
 * @throws {DataError} for a file that is no checkpoint, or one of another network
 */
export async function loadCheckpoint(path: string, state: PretrainState): Promise<void> {
  using file = await openSafetensors(path);
  expectCheckpoint(file);
  for (const [name, tensor] of stateTensors(state)) {
    const { data } = await file.readExpected(name, "F32", [...tensor.shape]);
    tensor.write(data as Float32Array<ArrayBuffer>);
  }
  const { data } = await file.readExpected("queue_pointer", "I32", [1]);
  state.queuePointer = data[0];
  state.step = Number(file.metadata.step);
  // Older checkpoints have none: the next metrics line is of the steps since the checkpoint.
  if (file.metadata.losses !== undefined) state.losses.restore(JSON.parse(file.metadata.losses));
}

/** Opens a checkpoint: allocates a state by its configuration and fills it. The caller releases the state. */
export async function openCheckpoint(gpu: Gpu, path: string): Promise<PretrainState> {
  const state = new PretrainState(gpu, await readCheckpointConfig(path));
  await loadCheckpoint(path, state);
  return state;
}
