import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { openOnnxModel } from "../../src/host/onnx_model.ts";
import type { OnnxRuntime } from "../../src/host/onnx_runtime.ts";
import { encodeOnnx, type OnnxValue } from "../../src/store/onnx/encode.ts";
import { withFolder } from "../store/with_folder.ts";
import { fakeRuntime } from "./fake_runtime.ts";

const value = (name: string, ...shape: OnnxValue["shape"]): OnnxValue => ({ name, shape });
const pixels = value("pixels", "N", 3, "H", "W");

/** A file of these inputs and outputs and without nodes, which the fake runtime does not look at. */
async function writeFile(
  path: string,
  inputs: OnnxValue[],
  outputs: OnnxValue[],
  metadata: Record<string, string> = {},
): Promise<void> {
  const initializers = [{ name: "weight", shape: [1000], data: new Float32Array(1000).fill(7) }];
  const graph = { name: "graph", nodes: [], initializers, inputs, outputs };
  const producer = { name: "other", version: "1" };
  await Deno.writeFile(path, await encodeOnnx({ irVersion: 8, opset: 17, producer, metadata, graph }));
}

const open = (path: string, runtime: OnnxRuntime = fakeRuntime().runtime) =>
  openOnnxModel(path, () => Promise.resolve(runtime));

Deno.test("an ONNX file says its images, its output and its metadata, and gives a row for each image", () =>
  withFolder(async (folder) => {
    const path = `${folder}/m.onnx`;
    const outputs = [value("c5", "N", 2, 3, 3), value("y", "N", 2)];
    await writeFile(path, [value("pixels", "N", 3, "H", 1)], outputs, { größe: "ü\u{1f33f}" });
    const { runtime, batches } = fakeRuntime([undefined, 3, undefined, 1]);
    const model = await open(path, runtime);
    assertEquals(model.input, { name: "pixels", height: undefined, width: 1 });
    assertEquals([model.output, model.metadata], ["y", { größe: "ü\u{1f33f}" }]);
    const { features, dimension } = await model.run(Float32Array.of(1, 2, 3, 10, 20, 30), [2, 3, 1, 1]);
    assertEquals([dimension, [...features], batches], [2, [6, 1, 60, 10], [2]]);
    await assertRejects(
      () => model.run(new Float32Array(6), [1, 3, 1, 2]),
      DataError,
      "m.onnx could not run images of 1 x 2 pixels: 2 in place of 1",
    );
    await model.release();
  }));

Deno.test("a file of a fixed batch runs that many, and rows of padding are dropped", () =>
  withFolder(async (folder) => {
    await writeFile(`${folder}/m.onnx`, [value("x", 4, 3, 1, 1)], [value("y", 4, 2)]);
    const { runtime, batches } = fakeRuntime([4, 3, 1, 1]);
    const model = await open(`${folder}/m.onnx`, runtime);
    const values = Float32Array.from({ length: 18 }, (_, index) => index);
    const { features } = await model.run(values, [6, 3, 1, 1]);
    assertEquals([...features], [3, 0, 12, 3, 21, 6, 30, 9, 39, 12, 48, 15]);
    assertEquals(batches, [4, 4]);
  }));

Deno.test("features are the output of that name, or the only matrix; else the outputs are named", () =>
  withFolder(async (folder) => {
    const path = `${folder}/m.onnx`;
    const chosen = async (...outputs: OnnxValue[]) => {
      await writeFile(path, [pixels], outputs);
      return (await open(path)).output;
    };
    assertEquals(await chosen(value("logits", "N", 9), value("features", "N", 4)), "features");
    assertEquals(await chosen(value("tokens", "N", 5, 4), value("pooled", "N", 4)), "pooled");
    const refused = async (...outputs: OnnxValue[]) =>
      (await assertRejects(() => chosen(...outputs), DataError)).message;
    assertStringIncludes(
      await refused(value("logits", "N", 9), value("pooled", "N", 4)),
      'it has "logits" float32 [?, 9], "pooled" float32 [?, 4]; expected one named "features"',
    );
    assertStringIncludes(await refused(value("map", "N", 5, 4, 4)), '"map" float32 [?, 5, 4, 4]');
  }));

Deno.test("what is missing, no model, takes no images or gives no rows is refused", () =>
  withFolder(async (folder) => {
    const path = `${folder}/m.onnx`;
    await assertRejects(() => open(path), DataError, "Cannot read");
    await Deno.writeTextFile(path, '{"no": "network"}');
    await assertRejects(() => open(path), DataError, "is no ONNX file");
    const { runtime } = fakeRuntime();
    const failing = {
      ...runtime,
      InferenceSession: { create: () => Promise.reject(new Error("no operator")) },
    };
    const y = value("y", "N", 2);
    await writeFile(path, [pixels], [y]);
    await assertRejects(
      () => open(path, failing),
      DataError,
      "cannot be opened by ONNX Runtime: no operator",
    );
    for (const inputs of [[value("x", "N", 4, 8, 8)], [value("x", "N", 3)], [pixels, value("z", 1)], []]) {
      await writeFile(path, inputs, [y]);
      await assertRejects(() => open(path), DataError, "expected one, float32 [N, 3, H, W]");
    }
    await writeFile(path, [value("x", 2, 3, 1, 1)], [y]);
    const model = await open(path, fakeRuntime([], (images) => images / 2).runtime);
    await assertRejects(
      () => model.run(new Float32Array(6), [2, 3, 1, 1]),
      DataError,
      "gives float32 [1, 2] for 2 images; expected float32 [2, D]",
    );
  }));
