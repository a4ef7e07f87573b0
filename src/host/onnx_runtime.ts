/** ONNX Runtime, which runs networks of other programs. It is large, so it is fetched and loaded when it is first needed. */
import { DataError } from "../errors.ts";

/** A result of a network. */
export interface OnnxResult {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** A network that is loaded. */
export interface OnnxSession {
  run(
    feeds: Readonly<Record<string, unknown>>,
    wanted: readonly string[],
  ): Promise<Readonly<Record<string, OnnxResult>>>;
  release(): Promise<void>;
}

/** The part of `onnxruntime-node` that is used. */
export interface OnnxRuntime {
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
  readonly InferenceSession: {
    create(path: string, options: { readonly logSeverityLevel: number }): Promise<OnnxSession>;
  };
}

const specifier = "npm:onnxruntime-node@1.30.0";

/**
 * Loads ONNX Runtime from npm, some 300 MB the first time. A name that is no literal keeps it from everybody else.
 * @throws {DataError} when it cannot be had
 */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  try {
    return await import(specifier);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new DataError(
      `ONNX Runtime (${specifier}), which runs .onnx files, cannot be loaded: ${
        error.message.split("\n")[0]
      } It is fetched from npm at its first use and needs a network then.`,
      { cause: error },
    );
  }
}
