/**
 * Checkpoints: all of a {@linkcode PretrainState} in one safetensors file, under torchvision's names with MoCo's prefixes.
 * Whatever else a step depends on (order of the images, augmentation, architectures) is a function of seed and step.
 */
import { formatConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { DataError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { FinitenessCheck, tensorsAre } from "../nn/finiteness.ts";
import { fillTensors, saveState } from "../train/state_file.ts";
import { type CheckpointContents, checkpointFormat, openCheckpointFile } from "./checkpoint_file.ts";
import { PretrainState } from "./state.ts";
import { streamOrderTensors } from "./stream_orders.ts";

/** Looks at all that a checkpoint of this state would hold. The caller releases it. */
export function stateFiniteness(state: PretrainState): FinitenessCheck {
  return new FinitenessCheck(state.gpu, state.sources);
}

/**
 * Writes a checkpoint, atomically.
 * @param epoch epochs that are complete
 * @throws {TrainingError} when the state holds NaN or infinity: then nothing is written
 * @throws {DataError} when the file system refuses
 */
export async function saveCheckpoint(state: PretrainState, epoch: number, ...paths: string[]): Promise<void> {
  const metadata = { format: checkpointFormat, config: formatConfig(state.config) };
  const tensors = streamOrderTensors(state.streamOrders);
  await saveState(state.gpu, state, epoch, { tensors, metadata }, ...paths);
}

/**
 * The configuration that a checkpoint was made with.
 *
 * @param onWarning as for {@linkcode openCheckpointFile}
 * @throws {DataError} for a file that is no checkpoint or is damaged
 */
export async function readCheckpointConfig(
  path: string,
  onWarning?: (text: string) => void,
): Promise<Config> {
  const { file, config } = await openCheckpointFile(path, onWarning);
  file.close();
  return config;
}

/**
 * Reads a checkpoint into a state of the same configuration.
 * @throws {DataError} for a file that is no checkpoint, is damaged, is one of another network, or holds values that are
 * not finite
 */
export async function loadCheckpoint(path: string, state: PretrainState): Promise<void> {
  const contents = await openCheckpointFile(path);
  using _ = contents.file;
  await fillState(contents, state);
}

/** As {@linkcode loadCheckpoint}, from a checkpoint that is open. */
export async function fillState(contents: CheckpointContents, state: PretrainState): Promise<void> {
  const { file } = contents;
  await fillTensors(file, state);
  await expectFinite(file.path, stateFiniteness(state));
  Object.assign(state.objective.counters, contents.counters);
  state.streamOrders = contents.streamOrders;
  state.step = contents.step;
  state.losses.clear();
  // Older checkpoints have none: the next metrics line is of the steps since the checkpoint.
  if (contents.losses) state.losses.restore(contents.losses);
}

/**
 * Looks at what was loaded, and releases the check.
 * @throws {DataError} naming a tensor that holds NaN or infinity
 */
export async function expectFinite(path: string, finiteness: FinitenessCheck): Promise<void> {
  const wrong = await finiteness.run();
  finiteness.release();
  if (wrong.length === 0) return;
  throw new DataError(
    `${path} is of a training that had diverged: ${tensorsAre(wrong)} not finite. Continue from an ` +
      `earlier checkpoint with --resume --checkpoint epoch-N and a lower optimizer.learningRate.`,
  );
}

/** Opens a checkpoint: allocates a state by its configuration and fills it. The caller releases the state. */
export async function openCheckpoint(gpu: Gpu, path: string): Promise<PretrainState> {
  const contents = await openCheckpointFile(path);
  using _ = contents.file;
  const state = new PretrainState(gpu, contents.config);
  try {
    await fillState(contents, state);
  } catch (error) {
    state.release();
    throw error;
  }
  return state;
}
