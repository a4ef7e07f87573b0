/** A teacher in an ONNX file: what its file says, what it is given, and that it runs once. No ONNX Runtime is needed here. */
import { assertEquals, assertRejects } from "@std/assert";
import { ConfigurationError, DataError } from "../../../src/errors.ts";
import type { OnnxRuntime } from "../../../src/host/onnx_runtime.ts";
import { startRun } from "../../../src/pretrain/pretrain.ts";
import { describeTeacher } from "../../../src/pretrain/teacher/onnx_teacher.ts";
import { withTeacherDimension } from "../../../src/pretrain/teacher/teacher.ts";
import { writeSafetensors } from "../../../src/store/safetensors.ts";
import { encodeOnnx, type OnnxValue } from "../../../src/store/onnx/encode.ts";
import { gpuTest, randomValues } from "../../helpers.ts";
import { withFolder } from "../../store/with_folder.ts";
import { collectingHooks, smallRun } from "../small_run.ts";

/** Writes a network without nodes: nobody here runs it. */
async function writeNetwork(
  path: string,
  input: OnnxValue["shape"],
  outputs: Record<string, OnnxValue["shape"]>,
  metadata: Record<string, string> = {},
): Promise<void> {
  const bytes = await encodeOnnx({
    irVersion: 8,
    opset: 17,
    producer: { name: "test", version: "1" },
    metadata,
    graph: {
      name: "teacher",
      nodes: [],
      initializers: [{ name: "weight", shape: [1], data: Float32Array.of(1) }],
      inputs: [{ name: "pixels", shape: input }, { name: "weight", shape: [1] }],
      outputs: Object.entries(outputs).map(([name, shape]) => ({ name, shape })),
    },
  });
  await Deno.writeFile(path, bytes);
}

Deno.test("a file says how it is fed and what it gives; the rest is assumed and said", () =>
  withFolder(async (folder) => {
    const path = `${folder}/teacher.onnx`;
    const free: OnnxValue["shape"] = ["N", 3, "H", "W"];
    await writeNetwork(path, free, { tokens: ["N", 5, 8], pooled: ["N", 8] });
    const plain = await describeTeacher(path, null);
    assertEquals([plain.output, plain.dimension, plain.batch], ["pooled", 8, 32]);
    assertEquals([plain.imageSize, plain.mean[0], plain.std[2]], [224, 0.485, 0.225]);
    assertEquals(
      plain.assumed,
      `${path} does not say its input: images of 224 pixels and ImageNet's mean and deviation are assumed.`,
    );
    const preprocessing = JSON.stringify({ resize: 50 });
    const stated = { preprocessing, imageSize: "48", mean: "[0.1,0.2,0.3]", std: "[0.4,0.5,0.6]" };
    await writeNetwork(path, free, { logits: ["N", 3], features: ["N", 8] }, stated);
    const own = await describeTeacher(path, null);
    assertEquals([own.output, own.imageSize, own.mean, own.std, own.assumed], [
      "features",
      48,
      [0.1, 0.2, 0.3],
      [0.4, 0.5, 0.6],
      "",
    ]);
    assertEquals([own.resize, plain.resize], [50, undefined]);
    assertEquals((await describeTeacher(path, "logits")).dimension, 3);
    // The digest is of the contents.
    assertEquals(own.digest === plain.digest, false);

    await writeNetwork(path, [4, 3, 32, 32], { a: ["N", 3], b: ["N", 8] });
    await assertRejects(() => describeTeacher(path, null), DataError, "--set distillation.output=NAME");
    await assertRejects(() => describeTeacher(path, "c"), DataError, 'no output "c"');
    assertEquals((await describeTeacher(path, "b")).batch, 4);
    await writeNetwork(path, [1, 1, 32, 32], { a: ["N", 3] });
    await assertRejects(() => describeTeacher(path, null), DataError, "[N, 3, H, W]");
    await writeNetwork(path, [1, 3, 32, 48], { a: ["N", 3] });
    await assertRejects(() => describeTeacher(path, null), DataError, "square");
    await writeNetwork(path, [1, 3, 32, 32], { a: ["N", 3, 2] });
    await assertRejects(() => describeTeacher(path, "a"), DataError, 'no output "a" of float32 [N, D]');
    await Deno.writeTextFile(path, '{"no": "network"}');
    await assertRejects(() => describeTeacher(path, null), DataError, "is no ONNX file");
    await assertRejects(() => describeTeacher(`${folder}/none.onnx`, null), DataError, "Cannot read");
  }));

/** Gives each image's mean of its three channels, and counts its runs. */
function fakeRuntime(counts: { loads: number; runs: number[][] }): OnnxRuntime {
  class FakeTensor {
    constructor(readonly type: string, readonly data: Float32Array, readonly dims: readonly number[]) {}
  }
  return {
    Tensor: FakeTensor,
    InferenceSession: {
      create() {
        counts.loads++;
        return Promise.resolve({
          run({ pixels }: { pixels: FakeTensor }) {
            const { dims, data } = pixels;
            counts.runs.push([...dims]);
            const plane = dims[2] * dims[3];
            const means = Float32Array.from(
              { length: dims[0] * 3 },
              (_, at) =>
                data.subarray(at * plane, (at + 1) * plane).reduce((sum, value) => sum + value / plane, 0),
            );
            return Promise.resolve({ pooled: { type: "float32", dims: [dims[0], 3], data: means } });
          },
          release: () => Promise.resolve(),
        });
      },
    },
  } as unknown as OnnxRuntime;
}

gpuTest(
  "a network runs once over all images, at its own size and in its own batches",
  (gpu) =>
    withFolder(async (folder) => {
      const path = `${folder}/teacher.onnx`;
      await writeNetwork(path, [5, 3, 24, 24], { pooled: ["N", "D"] });
      const counts = { loads: 0, runs: [] as number[][] };
      const teacher = `model:${path}`;
      const config = smallRun({
        distillation: { teacher },
        training: { epochs: 1 },
        data: { source: "synthetic:64" },
      });
      const { hooks, warnings } = collectingHooks();
      const done: number[] = [];
      const teaching = {
        ...hooks,
        teacherFolder: `${folder}/cache`,
        loadRuntime: () => Promise.resolve(fakeRuntime(counts)),
        onTeacher: (images: number) => void done.push(images),
      };
      const { config: resolved } = await startRun(gpu, `${folder}/a`, config, teaching);
      assertEquals(resolved.distillation.dimension, 3);
      assertEquals(resolved.distillation.digest?.length, 32);
      // One run to learn the dimension; then 13 of 5, the last with an image and a rest of zeros, which is dropped.
      assertEquals(counts.runs.length, 14);
      assertEquals(counts.runs.every((dims) => dims.join() === "5,3,24,24"), true);
      assertEquals([done[0], done.at(-1)], [0, 64]);
      assertEquals(
        warnings.filter((text) => text.includes("ImageNet's mean and deviation are assumed")).length,
        1,
      );

      // What was made is found again, by another run as well.
      const again = await startRun(gpu, `${folder}/b`, config, teaching);
      assertEquals(again.config.distillation.digest, resolved.distillation.digest);
      assertEquals(counts.runs.length, 15);

      const inputs = `${folder}/inputs.safetensors`;
      const data = randomValues(64 * 3 * 256, 1);
      await writeSafetensors(inputs, [["images", { dtype: "F32", shape: [64, 3, 16, 16], data }]], {});
      const ready = smallRun({ distillation: { teacher }, data: { source: `tensor:${inputs}` } });
      await assertRejects(
        () => startRun(gpu, `${folder}/c`, ready, teaching),
        ConfigurationError,
        "ready-made inputs",
      );
      await assertRejects(
        () => withTeacherDimension(smallRun({ distillation: { teacher, dimension: 4 } }), teaching),
        ConfigurationError,
        "distillation.dimension is 4, and the features of",
      );
    }),
);

Deno.test("only a network has outputs to choose from", async () => {
  const config = smallRun({ distillation: { teacher: "self", output: "pooled" } });
  await assertRejects(() => withTeacherDimension(config), ConfigurationError, "is no model:FILE.onnx");
});
