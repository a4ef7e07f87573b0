import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { type OnnxRuntime, openOnnxModel } from "../../src/host/onnx_runtime.ts";
import { encodeOnnx } from "../../src/store/onnx/encode.ts";
import { withFolder } from "../store/with_folder.ts";
import { fakeRuntime, images, matrix, value } from "./fake_runtime.ts";

/** A file whose metadata are these; the fake runtime looks at nothing in it. */
async function writeFile(path: string, metadata: Record<string, string> = {}): Promise<void> {
  const initializers = [{ name: "weight", shape: [1000], data: new Float32Array(1000).fill(7) }];
  const graph = { name: "graph", nodes: [], initializers, inputs: [], outputs: [] };
  const producer = { name: "other", version: "1" };
  await Deno.writeFile(path, await encodeOnnx({ irVersion: 8, opset: 17, producer, metadata, graph }));
}

const open = (path: string, runtime: OnnxRuntime) => openOnnxModel(path, () => Promise.resolve(runtime));

Deno.test("an ONNX file says its images, its output and its metadata, and gives a row for each image", () =>
  withFolder(async (folder) => {
    const path = `${folder}/m.onnx`;
    await writeFile(path, { mean: "[0.5,0.5,0.5]", größe: "ü\u{1f33f}" });
    const { runtime, batches } = fakeRuntime([images("N", "H", 1)], [
      value("c5", "N", 2, 3, 3),
      matrix("y", "N", 2),
    ]);
    const model = await open(path, runtime);
    assertEquals(model.input, { name: "images", height: undefined, width: 1 });
    assertEquals([model.output, model.metadata], ["y", { mean: "[0.5,0.5,0.5]", größe: "ü\u{1f33f}" }]);
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
    await writeFile(`${folder}/m.onnx`);
    const { runtime, batches } = fakeRuntime([images(4, 1, 1)], [matrix("y", 4, 2)]);
    const model = await open(`${folder}/m.onnx`, runtime);
    const values = Float32Array.from({ length: 18 }, (_, index) => index);
    const { features } = await model.run(values, [6, 3, 1, 1]);
    assertEquals([...features], [3, 0, 12, 3, 21, 6, 30, 9, 39, 12, 48, 15]);
    assertEquals(batches, [4, 4]);
  }));

Deno.test("features are the output of that name, or the only matrix; else the outputs are named", () =>
  withFolder(async (folder) => {
    const path = `${folder}/m.onnx`;
    await writeFile(path);
    const chosen = async (...outputs: ReturnType<typeof value>[]) =>
      (await open(path, fakeRuntime([images("N", 8, 8)], outputs).runtime)).output;
    assertEquals(await chosen(matrix("logits", "N", 9), matrix("features", "N", 4)), "features");
    assertEquals(await chosen(value("tokens", "N", 5, 4), matrix("pooled", "N", 4)), "pooled");
    const refused = async (...outputs: ReturnType<typeof value>[]) =>
      (await assertRejects(() => chosen(...outputs), DataError)).message;
    assertStringIncludes(
      await refused(matrix("logits", "N", 9), matrix("pooled", "N", 4)),
      'it has "logits" float32 [N, 9], "pooled" float32 [N, 4]; expected one named "features"',
    );
    assertStringIncludes(await refused(value("map", "N", 5, 4, 4)), '"map" float32 [N, 5, 4, 4]');
  }));

Deno.test("what is missing, no model or takes no images is refused", () =>
  withFolder(async (folder) => {
    const path = `${folder}/m.onnx`;
    const { runtime } = fakeRuntime([images("N", 8, 8)], [matrix("y", "N", 2)]);
    await assertRejects(() => open(path, runtime), DataError, "there is no such file");
    await writeFile(path);
    const failing = {
      ...runtime,
      InferenceSession: { create: () => Promise.reject(new Error("no protobuf")) },
    };
    await assertRejects(
      () => open(path, failing),
      DataError,
      "cannot be opened by ONNX Runtime: no protobuf",
    );
    for (
      const inputs of [[value("x", "N", 4, 8, 8)], [value("x", "N", 3)], [images("N", 8, 8), value("y", 1)]]
    ) {
      const { runtime } = fakeRuntime(inputs, [matrix("y", "N", 2)]);
      await assertRejects(() => open(path, runtime), DataError, "expected one, float32 [N, 3, H, W]");
    }
  }));
