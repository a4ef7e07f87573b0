/** Other programs that run an extracted model, to compare with. Each may be missing. */
import { DataError } from "../../src/errors.ts";
import { loadOnnxRuntime, type OnnxRuntime } from "../../src/host/onnx_runtime.ts";
import { describeOnnxFile } from "../../src/store/onnx/describe.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import type { Shape } from "../../src/shape.ts";

/** An array on the host. */
export interface HostTensor {
  readonly shape: Shape;
  readonly data: Float32Array<ArrayBuffer>;
}

/** Feature maps by name: `c2`, `c3`, … and `features`. */
export type FeatureMaps = ReadonlyMap<string, HostTensor>;

const pythons = new Map<string, Promise<string | undefined>>();

/** A Python of this machine that has some modules, e.g. `torch, torchvision`; undefined when there is none. Looked for once. */
export function findPython(modules = "torch, torchvision"): Promise<string | undefined> {
  const known = pythons.get(modules);
  if (known) return known;
  const found = searchPython(modules);
  pythons.set(modules, found);
  return found;
}

async function searchPython(modules: string): Promise<string | undefined> {
  for (const python of ["python3", "/usr/bin/python3", "python"]) {
    const command = new Deno.Command(python, { args: ["-c", `import ${modules}`], stderr: "null" });
    try {
      if ((await command.output()).success) return python;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

/**
 * Loads a model file strictly into torchvision and runs it in float64.
 *
 * @param folder for files in between
 * @returns feature maps, and whether torchvision's `resnet50` takes the file as it is
 */
export async function torchvisionFeatures(
  python: string,
  modelPath: string,
  images: HostTensor,
  folder: string,
): Promise<{ features: FeatureMaps; resnet50: boolean }> {
  const script = new URL("torchvision_check.py", import.meta.url).pathname;
  const [input, output] = [`${folder}/images.safetensors`, `${folder}/features.safetensors`];
  await writeSafetensors(input, [["images", { dtype: "F32", ...images }]]);
  const args = [script, "--model", modelPath, "--images", input, "--out", output];
  const { success, stderr } = await new Deno.Command(python, { args }).output();
  if (!success) throw new Error(`${script} failed:\n${new TextDecoder().decode(stderr)}`);
  const { tensors, metadata } = await readSafetensors(output);
  const features = new Map([...tensors].map(([name, { shape, data }]) => [
    name,
    { shape, data: data as Float32Array<ArrayBuffer> },
  ]));
  return { features, resnet50: metadata.resnet50 === "true" };
}

/** ONNX Runtime from npm; undefined when it cannot be loaded. */
export async function findOnnxRuntime(): Promise<OnnxRuntime | undefined> {
  try {
    return await loadOnnxRuntime();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    console.log(error.message);
    return undefined;
  }
}

/** Runs an ONNX file of one input on batches. */
export async function onnxFeatures(
  runtime: OnnxRuntime,
  path: string,
  batches: readonly HostTensor[],
): Promise<FeatureMaps[]> {
  const session = await runtime.InferenceSession.create(path, { logSeverityLevel: 3 });
  const { inputs: [input], outputs } = await describeOnnxFile(path);
  const names = outputs.map(({ name }) => name);
  const results: FeatureMaps[] = [];
  for (const { data, shape } of batches) {
    const found = await session.run({ [input.name]: new runtime.Tensor("float32", data, shape) }, names);
    results.push(
      new Map(
        Object.entries(found).map(([name, { dims, data }]) => [name, { shape: dims, data: data.slice() }]),
      ),
    );
  }
  await session.release();
  return results;
}
