/** Files of fine-tuned networks in an evaluation's folder: the results, and what is kept while one is trained. */
import { join } from "@std/path";
import { writeModel } from "../extract/model_file.ts";
import type { PlainModel } from "../extract/model.ts";
import { removeFile } from "../store/remove_file.ts";
import type { Subject } from "../studies/evaluate/subjects.ts";
import { guardOutputFile, type Inputs, tunedOnnxOutput, tunedOutput } from "./output_guard.ts";

/** Names the files of subjects, each by its architecture, and a number where several have the same. */
export class TunedFiles {
  constructor(readonly folder: string, readonly subjects: readonly Subject[]) {}

  #path({ network, arch }: Pick<Subject, "network" | "arch">, ending: string): string {
    const same = this.subjects.filter((subject) => subject.arch === arch);
    const at = same.findIndex((subject) => subject.network === network);
    return join(this.folder, `${same.length === 1 ? arch : `${arch}-${at + 1}`}.${ending}`);
  }

  /** What is written of a network that is fine-tuned. */
  of(subject: Pick<Subject, "network" | "arch">): [weights: string, onnx: string] {
    return [this.#path(subject, "safetensors"), this.#path(subject, "onnx")];
  }

  /** What is kept while one is trained. */
  checkpointOf(subject: Subject): string {
    return this.#path(subject, "interrupted.safetensors");
  }

  /** @throws {UsageError} for a file that is no earlier result of this command, or that is read */
  async guard(inputs: Inputs): Promise<void> {
    for (const subject of this.subjects) {
      const [weights, onnx] = this.of(subject);
      await guardOutputFile(weights, tunedOutput, inputs);
      await guardOutputFile(onnx, tunedOnnxOutput, inputs);
    }
  }

  async write(subject: Subject, model: PlainModel): Promise<void> {
    const { writeOnnxModel } = await import("../extract/onnx_model.ts");
    const [weights, onnx] = this.of(subject);
    await writeModel(weights, model);
    await writeOnnxModel(onnx, model);
  }

  async removeCheckpoints(): Promise<void> {
    for (const subject of this.subjects) await removeFile(this.checkpointOf(subject));
  }
}
