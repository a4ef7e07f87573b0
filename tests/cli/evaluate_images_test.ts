/** Images and networks that evaluate refuses, or tells something of. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { evaluateCommand } from "../../src/cli/evaluate.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

async function evaluate(...args: string[]) {
  const { status, out, err } = await runInProcess(evaluateCommand, ["--json", ...args]);
  return { status, result: JSON.parse(out), err };
}

const drawn = ["--data", "synthetic:40", "--test-data", "synthetic:20"];

/** Folders of a class each, whose shade tells them apart. */
async function writeShades(
  folder: string,
  classes: readonly string[],
  images: number,
  start = 0,
): Promise<void> {
  const { default: sharp } = await import("sharp");
  for (const name of classes) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    for (let image = 0; image < images; image++) {
      const background = { r: 80 * (name.charCodeAt(0) % 4), g: start + 3 * image, b: 60 };
      const picture = sharp({ create: { width: 20, height: 16, channels: 3, background } });
      await Deno.writeFile(`${folder}/${name}/${image}.png`, await picture.png().toBuffer());
    }
  }
}

cliTest("images that would make an accuracy worthless are refused, or told", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  const [train, test] = [`${folder}/train`, `${folder}/test`];
  await writeShades(train, ["a", "b", "c"], 4);
  await writeShades(test, ["b", "c"], 3, 1);
  const judge = (data: string, testData: string, ...more: string[]) =>
    evaluate(
      "--run",
      run,
      "--arch",
      "min",
      "--data",
      data,
      "--test-data",
      testData,
      "--out",
      `${folder}/out`,
      ...more,
    );
  const knn = ["--protocol", "knn"];

  // Classes are matched by their names: b is the test set's first and the training set's second.
  const sound = await judge(train, test, ...knn, "--neighbours", "1", "--baselines");
  assertEquals(sound.status, 0, sound.err);
  assertEquals(sound.result.baselines[0].accuracy, 1);
  assertEquals(sound.result.results[0].perClass[0], null);
  await Deno.copyFile(`${train}/b/0.png`, `${test}/b/copy.png`);
  const copied = await judge(train, test, ...knn);
  assertStringIncludes(
    copied.err,
    "1 of the 7 files of --test-data are copies of files of --data (b/copy.png)",
  );

  await Deno.symlink(train, `${folder}/link`);
  await Deno.mkdir(`${folder}/flat`);
  await Deno.copyFile(`${train}/a/0.png`, `${folder}/flat/0.png`);
  await writeShades(`${folder}/one`, ["a"], 3);
  await writeShades(`${folder}/onlyA`, ["a"], 2, 90);
  await writeShades(`${folder}/single`, ["a"], 1, 50);
  await writeShades(`${folder}/single`, ["b"], 2, 50);
  await writeShades(`${folder}/more`, ["b", "zebra"], 2, 150);
  for (
    const [data, testData, message, more] of [
      [train, `${train}/`, "share images: 12 of", knn],
      [train, `${folder}/link`, "share images: 12 of", knn],
      [train, train, "the same images", knn],
      [`${folder}/flat`, test, "no labels", knn],
      [train, `${folder}/flat`, "--test-data", knn],
      [train, `${folder}/more`, 'the class "zebra"', knn],
      [`${folder}/one`, `${folder}/onlyA`, "one class only (a)", knn],
      [`${folder}/one`, `${folder}/one/`, "share images", ["--protocol", "finetune"]],
      [`${folder}/single`, `${folder}/onlyA`, 'a single image of the class "a"', []],
      [`${folder}/nowhere`, test, "does not exist", knn],
    ] as const
  ) {
    const { status, err } = await judge(data, testData, ...more);
    assertEquals(status, 2, err);
    assertStringIncludes(err, message);
  }

  // Drawn images to test on are others than those to train on.
  const same = await judge(
    "synthetic:40",
    "synthetic:40",
    ...knn,
    "--neighbours",
    "1",
    "--calibrate",
    "0",
    "--baselines",
  );
  assertEquals(same.status, 0, same.err);
  assert(same.result.baselines[0].accuracy < 1);

  // Ready-made inputs have their size, and no crops.
  const ready = async (name: string, side: number, labels: number[]) => {
    const data = Float32Array.from({ length: labels.length * 3 * side ** 2 }, (_, at) => Math.sin(at * at));
    await writeSafetensors(`${folder}/${name}.safetensors`, [
      ["images", { dtype: "F32", shape: [labels.length, 3, side, side], data }],
      ["labels", { dtype: "I32", shape: [labels.length], data: Int32Array.from(labels) }],
    ], {});
    return `tensor:${folder}/${name}.safetensors`;
  };
  const right = await ready("right", 16, [0, 1, 0, 1, 0, 1, 0, 1]);
  const few = await ready("few", 16, [1, 0]), wrong = await ready("wrong", 12, [0, 1]);
  const tuned = await judge(right, few, "--protocol", "finetune", "--epochs", "1");
  assertEquals(tuned.status, 0, tuned.err);
  assertStringIncludes(tuned.err, "without crops and flips");
  const sized = await judge(right, wrong, ...knn);
  assertEquals(sized.status, 1);
  assertStringIncludes(sized.err, "12 x 12 pixels");
  const classless = await judge(right, await ready("third", 16, [0, 2]), ...knn);
  assertEquals(classless.status, 2);
  assertStringIncludes(classless.err, "images of the class 2");
  const scarce = ["--protocol", "semi", "--fraction", "0.0001", "--epochs", "1", "--learning-rates", "0.01"];
  const least = await judge(train, test, ...scarce, "--head-factors", "1");
  assertEquals(least.result.images.train, 6, least.err);
  assertStringIncludes(least.err, "0.0001 of 12 labels are 0.0004 of each class; 2 of each are used");
});

cliTest("images of a run that are others now, or gone, are named with what to give", async (folder) => {
  const [images, run] = [`${folder}/images`, `${folder}/run`];
  await writeShades(images, ["a", "b"], 6);
  const config = ["--set", "data.imageSize=16", "--set", "training.batch=4", "--set", "data.heldOut=4"];
  const started = await runInProcess(pretrainCommand, [
    ...["--data", images, "--out", run, "--epochs", "0", "--config", "configs/demo.json", ...config],
  ]);
  assertEquals(started.status, 0, started.err);
  const knn = ["--run", run, "--arch", "min", "--protocol", "knn"];
  const judged = await evaluate(...knn);
  assertEquals(judged.status, 0, judged.err);
  assertEquals([judged.result.images, judged.result.classes], [{ train: 8, test: 4 }, ["a", "b"]]);
  await Deno.remove(`${images}/a/0.png`);
  const changed = await evaluate(...knn);
  assertEquals(changed.status, 1);
  assertStringIncludes(changed.err, "Restore the images, or give others with --data and --test-data.");
  await Deno.rename(images, `${folder}/moved`);
  const gone = await evaluate(...knn);
  assertEquals(gone.status, 2);
  assertStringIncludes(gone.err, "does not exist");
});

cliTest("a network whose features are not finite is not judged", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  const model = `${folder}/model.safetensors`;
  await runInProcess(extractCommand, ["--run", run, "--arch", "min", "--out", model]);
  const { tensors, metadata } = await readSafetensors(model);
  for (const [name, { data }] of tensors) if (name.endsWith("bn1.weight")) (data as Float32Array).fill(3e38);
  await writeSafetensors(model, tensors, metadata);
  for (const protocol of ["knn", "linear"]) {
    const { status, err } = await evaluate("--model", model, "--protocol", protocol, ...drawn);
    assertEquals(status, 1, err);
    assertStringIncludes(err, "not finite");
  }
});
