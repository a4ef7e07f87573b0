/**
 * A fine-tuned network gives its logits in torchvision, through its loader, and in ONNX Runtime: `deno task interop`, where
 * these are installed.
 */
import { assert, assertEquals } from "@std/assert";
import { evaluateCommand } from "../../src/cli/evaluate.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { extractFeatures } from "../../src/evaluate/features.ts";
import { extractSubnet } from "../../src/extract/extract.ts";
import { openModel, readModel, writeModel } from "../../src/extract/model_file.ts";
import { writeLoader } from "../../src/extract/pytorch_loader.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { purpose, Random } from "../../src/random.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { runInProcess } from "../cli/run_command.ts";
import { resnet18 } from "../elastic/spaces.ts";
import { lively } from "../extract/encoders.ts";
import { assertClose, gpuTest, randomValues } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { findOnnxRuntime, findPython, onnxFeatures } from "./peers.ts";

const tolerance = 1e-4;

gpuTest(
  "a fine-tuned ResNet-18's logits are those of torchvision, its loader and ONNX Runtime",
  async (gpu) => {
    await withFolder(async (folder) => {
      const encoder = new Encoder(gpu, new ElasticResNet(new SearchSpace(resnet18)), undefined, false);
      let index = 0;
      for (const arena of [encoder.weights.values, encoder.statistics.arena]) {
        for (const [name, tensor] of arena.entries()) {
          tensor.write(lively(name, tensor.shape, new Random(3, purpose.test, index++)));
        }
      }
      const input = { imageSize: 32, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.25] } as const;
      const model = `${folder}/r18.safetensors`;
      await writeModel(model, await extractSubnet(encoder, encoder.network.space.max, input, undefined));
      encoder.release();
      const images = ["--data", "synthetic:24", "--test-data", "synthetic:10"];
      const tune = ["--protocol", "finetune", "--epochs", "1", "--learning-rates", "0.001"];
      const { status, out, err } = await runInProcess(evaluateCommand, [
        "--model",
        model,
        ...images,
        ...tune,
        "--json",
      ]);
      assertEquals(status, 0, err);
      const { results: [{ files: [weights, onnx] }], classes } = JSON.parse(out);

      const opened = await openModel(gpu, weights);
      assertEquals(opened.classes, classes);
      const batch = { shape: [3, 3, 32, 32], data: randomValues(3 * 3 * 32 * 32, 9) };
      const logits = await extractFeatures(opened.encoder, opened.network.space.max, "projection", [
        Tensor.from(gpu, batch.data, batch.shape),
      ]);
      opened.encoder.release();
      assertEquals([logits.rows, logits.dimension], [3, 10]);

      const python = await findPython();
      if (python) {
        const loader = await writeLoader(weights, await readModel(weights));
        const inputs = `${folder}/images.safetensors`, outputs = `${folder}/outputs.safetensors`;
        await writeSafetensors(inputs, [["images", { dtype: "F32", ...batch }]]);
        const script = new URL("loader_check.py", import.meta.url).pathname;
        const args = [script, "--loader", loader, "--out", outputs, "--images", inputs];
        const { success, stderr } = await new Deno.Command(python, { args }).output();
        assert(success, new TextDecoder().decode(stderr));
        const { tensors } = await readSafetensors(outputs);
        // torchvision's resnet18 loads the file strictly, classifier included.
        for (const name of ["logits", "torchvision"]) {
          assertClose(tensors.get(name)!.data as Float32Array, logits.values, tolerance, name);
        }
      } else console.log("skipped: torchvision is not here");
      const runtime = await findOnnxRuntime();
      if (runtime) {
        const [found] = await onnxFeatures(runtime, onnx, [batch]);
        assertEquals(found.get("logits")!.shape, [3, 10]);
        assertClose(found.get("logits")!.data, logits.values, tolerance, "ONNX Runtime");
      } else console.log("skipped: onnxruntime-node is not here");
    });
  },
);
