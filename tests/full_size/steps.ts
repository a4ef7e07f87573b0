/**
 * One training step of each full-size configuration at its whole width, on images of 64 pixels, a test, and the files:
 * `deno task test:full-size`. Not part of `deno task test`, where the same is done with narrow networks.
 */
import { assert, assertEquals } from "@std/assert";
import { finetuneCommand } from "../../src/cli/finetune.ts";
import { isStep, readMetrics } from "../../src/store/metrics.ts";
import { openSafetensors } from "../../src/store/safetensors.ts";
import { argumentsOf, fullSize, oneStep } from "../cli/full_size_configs.ts";
import { cliTest, runInProcess } from "../cli/run_command.ts";

/**
 * Parameters, statistics not counted: those of ResNet-50 without its classifier, 23 508 032; mmsegmentation's heads of 11
 * classes, 23 601 675 and 23 079 435, with an auxiliary classifier of 2 362 635; torchvision's Mask R-CNN of 91 classes,
 * 44 401 393, without 80 classes, 430 560, and with batchnorm that is trained, 53 120.
 */
const parameters: Readonly<Record<string, number>> = {
  "finetune-cityscapes-fcn.json": 23_508_032 + 23_601_675 + 2_362_635,
  "finetune-cityscapes-psp.json": 23_508_032 + 23_079_435 + 2_362_635,
  "finetune-coco-mask-rcnn.json": 44_401_393 - 430_560 + 53_120,
};

for (const one of fullSize) {
  cliTest(`${one.file}: a step at full width`, async (folder) => {
    const out = `${folder}/out`;
    const { status, out: printed, err } = await runInProcess(finetuneCommand, [
      ...argumentsOf(one, 2, [...one.small, ...oneStep]),
      ...["--out", out],
    ]);
    assertEquals(status, 0, err + printed);
    assertEquals(JSON.parse(printed).steps, 1);
    const [line] = (await readMetrics(`${out}/metrics.jsonl`)).filter(isStep);
    assert(Number.isFinite(line.loss) && line.loss > 0, `${line.loss}`);
    using file = await openSafetensors(`${out}/model.safetensors`);
    let count = 0;
    for (const [name, { shape }] of file.tensors) {
      if (!/\.running_(mean|var)$/.test(name)) count += shape.reduce((product, size) => product * size, 1);
    }
    assertEquals(count, parameters[one.file]);
  });
}
