/** `deno task finetune --task instances`: what it prints and writes, and that a detector which diverges says what to do. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { finetuneCommand } from "../../src/cli/finetune.ts";
import { writeModel } from "../../src/extract/model_file.ts";
import { describeOnnxFile } from "../../src/store/onnx/describe.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { smallModel } from "../finetune/segmentation/small_segmentation.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { cliTest, runInProcess } from "./run_command.ts";

/** Two steps of a detector as narrow as it may be. */
const config = {
  training: { epochs: 1, batch: 2, logEvery: 1 },
  detection: {
    ...{ shortSide: null, channels: 8, anchorSizes: [12, 24, 48, 96, 192], canonicalScale: 48 },
    ...{ trainingProposals: 20, testingProposals: 20, proposalSamples: 16, regionSamples: 8 },
    ...{ hidden: 16, maskConvolutions: 1, maskChannels: 8, frozenBatchnorm: false },
  },
};

cliTest("a mask head is trained and tested; results are COCO's, and spare other files", async (folder) => {
  const [model, settings, out, results] = ["model.safetensors", "config.json", "out", "found.json"].map((
    name,
  ) => `${folder}/${name}`);
  {
    using gpu = await openGpu();
    await writeModel(model, await smallModel(gpu));
  }
  await Deno.writeTextFile(settings, JSON.stringify(config));
  const finetune = (...more: string[]) =>
    runInProcess(finetuneCommand, [
      ...["--model", model, "--task", "instances", "--data", "synthetic:4", "--test-data", "synthetic:2"],
      ...["--config", settings, "--out", out, "--json", ...more],
    ]);

  await Deno.writeTextFile(results, '{"images": []}');
  assertStringIncludes((await finetune("--predictions", results)).out, "holds no detections");
  assertEquals(await Deno.readTextFile(results), '{"images": []}');
  await Deno.remove(results);
  assertEquals((await finetune("--head", "fcn")).status, 2);

  const diverged = await finetune("--set", "optimizer.learningRate=1000", "--epochs", "30");
  assertEquals(diverged.status, 1);
  assertStringIncludes(diverged.out, "--set optimizer.learningRate=200");

  const { status, out: printed, err } = await finetune("--predictions", results);
  assertEquals(status, 0, err + printed);
  const { task, head, steps, metrics, files } = JSON.parse(printed);
  assertEquals([task, head, steps], ["instances", "mask-rcnn", 2]);
  assertEquals(
    Object.keys(metrics),
    ["boxAP", "boxAP50", "boxAP75", "maskAP", "maskAP50", "maskAP75"],
  );
  const models = ["model.safetensors", "model.onnx", "boxes.onnx", "masks.onnx"].map((name) =>
    `${out}/${name}`
  );
  assertEquals(files, [...models, results]);
  const { inputs, metadata: described } = await describeOnnxFile(models[1]);
  assertEquals(inputs.map(({ name }) => name), ["images"]);
  assert(Array.isArray(JSON.parse(await Deno.readTextFile(results))));
  const { tensors, metadata } = await readSafetensors(files[0]);
  assertEquals([metadata.task, metadata.head], ["instances", "mask-rcnn"]);
  assertEquals(described, metadata);
  assert(tensors.has("roi_heads.mask_predictor.mask_fcn_logits.weight"));
  assertStringIncludes(await Deno.readTextFile(`${out}/report.html`), "Mask AP");
  assertStringIncludes((await finetune("--resume")).out, "is finished");
});
