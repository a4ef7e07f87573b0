import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigurationError } from "../../src/errors.ts";
import { loadFineTuneConfig, parseFineTuneConfig } from "../../src/finetune/config.ts";
import { withFolder } from "../store/with_folder.ts";

Deno.test("settings that are not given are the defaults; overrides come last", () => {
  const { optimizer, training, segmentation } = parseFineTuneConfig({}, "test");
  assertEquals([optimizer.learningRate, optimizer.schedule, training.batch, training.epochs], [
    ...[0.01, "poly", 8, 20],
  ]);
  assertEquals([segmentation.outputStride, segmentation.auxiliaryWeight, segmentation.crop], [16, 0.5, [
    256,
    256,
  ]]);
  const overrides = [
    { path: "training.batch", value: 4, flag: "--set" },
    { path: "segmentation.crop", value: [32, 48], flag: "--set" },
  ];
  const changed = parseFineTuneConfig({ training: { batch: 2, epochs: 3 } }, "test", overrides);
  assertEquals([changed.training.batch, changed.training.epochs, changed.segmentation.crop], [4, 3, [
    32,
    48,
  ]]);
});

/** What is wrong, and all that the message must say: the field, what was given, what is allowed. */
const faults: readonly [raw: unknown, ...says: string[]][] = [
  [{ training: { batch: 1 } }, "training.batch", "1", "2"],
  [{ training: { epochs: 0 } }, "training.epochs", "0", "1"],
  [{ optimizer: { learningRate: -1 } }, "optimizer.learningRate", "-1"],
  [{ optimizer: { momentum: 1 } }, "optimizer.momentum", "1"],
  [{ segmentation: { outputStride: 12 } }, "segmentation.outputStride", "12", "8", "16", "32"],
  [{ segmentation: { mean: "none" } }, "segmentation.mean", "none", "valid", "all"],
  [{ segmentation: { crop: [16] } }, "segmentation.crop"],
  [{ segmentation: { crop: [4, 16] } }, "segmentation.crop", "4", "8"],
  [{ segmentation: { augmentScale: [2, 1] } }, "segmentation.augmentScale", "[2, 1]", "smaller"],
  [{ segmentation: { flip: 1.5 } }, "segmentation.flip", "1.5"],
  [{ segmentation: { convolutions: 0 } }, "segmentation.convolutions", "0", "1"],
  [{ segmentation: { dropoutOf: "rows" } }, "segmentation.dropoutOf", "rows", "elements", "channels"],
  [{ optimiser: {} }, "optimiser", "optimizer"],
  [{ training: { bach: 4 } }, "bach", "batch"],
  [[], "test"],
  [{ training: 3 }, "training", "3"],
];

Deno.test("a wrong field is named with what was given and what is allowed", () => {
  for (const [raw, ...says] of faults) {
    const { message } = assertThrows(() => parseFineTuneConfig(raw, "test.json"), ConfigurationError);
    assertEquals(says.filter((part) => !message.includes(part)), [], message);
    assertEquals(message.includes("test"), true, message);
  }
});

Deno.test("a file that is not there, or no JSON, is named", () =>
  withFolder(async (folder) => {
    await assertRejects(
      () => loadFineTuneConfig(`${folder}/none.json`, []),
      ConfigurationError,
      "none.json cannot be read",
    );
    await Deno.writeTextFile(`${folder}/half.json`, '{"training": {');
    await assertRejects(() => loadFineTuneConfig(`${folder}/half.json`, []), ConfigurationError, "half.json");
    await Deno.writeTextFile(`${folder}/whole.json`, '{"$schema": "x", "training": {"epochs": 7}}');
    assertEquals((await loadFineTuneConfig(`${folder}/whole.json`, [])).training.epochs, 7);
  }));

Deno.test("the published configurations of fine-tunings load", async () => {
  const folder = new URL("../../configs/", import.meta.url).pathname;
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith("finetune-")) continue;
    await loadFineTuneConfig(folder + name, []);
    names.push(name);
  }
  assertEquals(names.sort(), [
    ...["finetune-camvid.json", "finetune-cityscapes-fcn.json", "finetune-cityscapes-psp.json"],
    ...["finetune-coco-mask-rcnn.json", "finetune-nuclei.json"],
  ]);
});
