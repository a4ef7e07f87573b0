/** A teacher in an ONNX file gives through ONNX Runtime what the same network gives through `embed`: `deno task interop`. */
import { assertEquals } from "@std/assert";
import { openSource } from "../../src/data/source.ts";
import { DataError } from "../../src/errors.ts";
import { writeFeatures } from "../../src/extract/embed.ts";
import { pooledFeatures } from "../../src/extract/feature_network.ts";
import { extractSubnet } from "../../src/extract/extract.ts";
import { writeOnnxModel } from "../../src/extract/onnx_model.ts";
import { openOnnxModel } from "../../src/host/onnx_model.ts";
import { loadOnnxRuntime, type OnnxRuntime } from "../../src/host/onnx_runtime.ts";
import {
  describeTeacher,
  measureDimension,
  writeTeacherFeatures,
} from "../../src/pretrain/teacher/onnx_teacher.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { basicSpace, livelyEncoder } from "../extract/encoders.ts";
import { assertClose, gpuTest } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";

async function runtime(): Promise<OnnxRuntime | undefined> {
  try {
    return await loadOnnxRuntime();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    console.log(`skipped: ${error.message}`);
    return undefined;
  }
}

gpuTest(
  "features of all images through ONNX Runtime, as embed writes them",
  (gpu) =>
    withFolder(async (folder) => {
      const onnx = await runtime();
      if (!onnx) return;
      const encoder = livelyEncoder(gpu, basicSpace);
      const architecture = encoder.network.space.max;
      const input = { imageSize: 24, mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3] } as const;
      const path = `${folder}/teacher.onnx`;
      await writeOnnxModel(path, await extractSubnet(encoder, architecture, input, undefined));
      const teacher = await describeTeacher(path, null);
      assertEquals([teacher.imageSize, teacher.mean, teacher.assumed], [24, [...input.mean], ""]);
      const model = await openOnnxModel(path, () => Promise.resolve(onnx));
      assertEquals(await measureDimension(model, teacher), teacher.dimension);
      // More than a batch of 32, and images of another size than the network's.
      const source = await openSource("synthetic:41", { imageSize: 32, seed: 1 });
      if (source.kind !== "images") throw new Error("made images are images");
      const [found, expected] = [`${folder}/a.safetensors`, `${folder}/b.safetensors`];
      await writeTeacherFeatures(gpu, found, model, teacher, source, teacher.dimension!, () => {});
      await model.release();
      const network = {
        encoder,
        architecture,
        statistics: encoder.statistics,
        input,
        calibration: undefined,
      };
      await writeFeatures(expected, pooledFeatures(network), source, () => {});
      const [own, other] = await Promise.all([expected, found].map(readSafetensors));
      for (const name of ["features", "indices"]) {
        const [a, b] = [own, other].map(({ tensors }) => tensors.get(name)!);
        assertEquals(b.shape, a.shape);
        assertClose(b.data as Float32Array, a.data as Float32Array, 1e-4, name);
      }
      source.release();
      encoder.release();
    }),
);
