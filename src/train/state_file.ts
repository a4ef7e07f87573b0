/** All of a training's state in one safetensors file, and back. Whatever else a step depends on follows from its number. */
import { TrainingError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { FinitenessCheck, tensorsAre } from "../nn/finiteness.ts";
import {
  expectTensor,
  type SafetensorsFile,
  type TensorData,
  writeSafetensors,
} from "../store/safetensors.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { NamedSource } from "./objective.ts";
import type { TrainingState } from "./state.ts";

/** Everything on the device that a checkpoint holds, under its name there. */
export function* stateTensors(
  { sources }: { readonly sources: readonly NamedSource[] },
): Generator<[name: string, tensor: Tensor]> {
  for (const [prefix, source] of sources) {
    if (source instanceof Tensor) yield [prefix, source];
    else for (const [name, tensor] of source.entries()) yield [prefix + name, tensor];
  }
}

/**
 * Writes a state, atomically: what is on the device, the objective's counters, and in the metadata the step, the epoch and
 * the losses since the last line of metrics.
 *
 * @param epoch epochs that are complete
 * @param own what the kind of training adds
 * @throws {TrainingError} when the state holds NaN or infinity: then nothing is written
 * @throws {DataError} when the file system refuses
 */
export async function saveState(
  gpu: Gpu,
  state: TrainingState,
  epoch: number,
  own: { readonly tensors?: Iterable<[string, TensorData]>; readonly metadata: Record<string, string> },
  ...paths: readonly string[]
): Promise<void> {
  const named = [...stateTensors(state)];
  using finiteness = new FinitenessCheck(gpu, state.sources);
  finiteness.record();
  const [found, ...contents] = await gpu.read(finiteness.found, ...named.map(([, tensor]) => tensor));
  const wrong = finiteness.interpret(found);
  if (wrong.length > 0) {
    throw new TrainingError(
      `The checkpoint of step ${state.step} was not written: ${tensorsAre(wrong)} not finite.`,
    );
  }
  const tensors: [string, TensorData][] = named.map(([name, { shape }], index) => [
    name,
    { dtype: "F32", shape, data: new Float32Array(contents[index]) },
  ]);
  for (const [name, value] of Object.entries(state.objective.counters)) {
    tensors.push([name, { dtype: "I32", shape: [1], data: Int32Array.of(value) }]);
  }
  tensors.push(...own.tensors ?? []);
  const metadata = {
    ...own.metadata,
    step: String(state.step),
    epoch: String(epoch),
    losses: JSON.stringify(state.losses),
  };
  for (const path of paths) await writeSafetensors(path, tensors, metadata);
}

/**
 * Brings a file's tensors to the device.
 * @throws {DataError} for one that is missing or of another shape; then nothing was changed
 */
export async function fillTensors(
  file: SafetensorsFile,
  state: { readonly sources: readonly NamedSource[] },
): Promise<void> {
  const named = [...stateTensors(state)];
  for (const [name, { shape }] of named) expectTensor(file, name, "F32", shape);
  for (const [name, tensor] of named) {
    const { data } = await file.readExpected(name, "F32", tensor.shape);
    tensor.write(data as Float32Array<ArrayBuffer>);
  }
}
