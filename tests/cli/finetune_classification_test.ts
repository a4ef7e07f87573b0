/** `deno task finetune --task classification`: what it prints and writes, and that it goes on where it was interrupted. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { evaluateCommand } from "../../src/cli/evaluate.ts";
import { finetuneCommand } from "../../src/cli/finetune.ts";
import { readModel } from "../../src/extract/model_file.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

const finetune = (...args: string[]) =>
  runInProcess(finetuneCommand, ["--task", "classification", "--json", ...args]);

cliTest("a classifier is trained and tested, and what is written can be evaluated", async (folder) => {
  const [run, out, predictions] = [`${folder}/run`, `${folder}/out`, `${folder}/found.csv`];
  await createRun(run);
  const given = ["--run", run, "--arch", "min", "--data", "synthetic:40", "--test-data", "synthetic:24"];
  const settings = ["--epochs", "2", "--set", "training.batch=10", "--set", "training.evaluateEvery=1"];
  await Deno.writeTextFile(predictions, "my notes");
  const refused = await finetune(...given, ...settings, "--out", out, "--predictions", predictions);
  assertEquals([refused.status, refused.out.includes("holds no predictions")], [2, true]);
  await Deno.remove(predictions);
  const { status, out: printed, err } = await finetune(
    ...[...given, ...settings, "--out", out, "--predictions", predictions],
  );
  assertEquals(status, 0, err + printed);
  const { task, head, metrics, steps, files } = JSON.parse(printed);
  assertEquals([task, head, steps], ["classification", "linear", 8]);
  assertEquals(files, [`${out}/model.safetensors`, `${out}/model.onnx`, predictions]);
  assert(Number.isInteger(24 * metrics.accuracy));

  const lines = (await Deno.readTextFile(`${out}/metrics.jsonl`)).trim().split("\n").map((line) =>
    JSON.parse(line)
  );
  assertEquals(lines.filter((line) => "accuracy" in line).map(({ epoch }) => epoch), [0, 1, 2]);
  assertEquals(lines.at(-1).accuracy, metrics.accuracy);
  const page = await Deno.readTextFile(`${out}/report.html`);
  assertStringIncludes(page, "Confusion matrix");
  assertEquals(JSON.parse(await Deno.readTextFile(`${out}/finetune.json`)).task, "classification");

  const rows = (await Deno.readTextFile(predictions)).trim().split("\n").slice(1).map((row) =>
    row.split(",")
  );
  assertEquals(rows.length, 24);
  const right = rows.filter(([, actual, predicted]) => actual === predicted).length;
  assertEquals(right / 24, metrics.accuracy);

  const model = await readModel(`${out}/model.safetensors`);
  assertEquals(model.classes, metrics.perClass.map((one: { class: string }) => one.class));
  const judged = await runInProcess(evaluateCommand, [
    ...["--model", `${out}/model.safetensors`, "--data", "synthetic:40", "--test-data", "synthetic:24"],
    ...["--protocol", "knn", "--out", `${folder}/knn`, "--json"],
  ]);
  assertEquals(judged.status, 0, judged.err);

  const again = await finetune(...given, ...settings, "--out", out, "--resume");
  assertEquals([again.status, again.out.includes("is finished")], [2, true]);
  const same = JSON.parse((await finetune(...given, ...settings, "--out", out)).out);
  assertEquals(same.metrics, metrics);
});

cliTest("what does not go with a classifier is named", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  const given = [
    "--run",
    run,
    "--data",
    "synthetic:40",
    "--test-data",
    "synthetic:24",
    "--out",
    `${folder}/out`,
  ];
  for (
    const [wrong, says] of [
      [["--head", "fcn"], "--head fcn does not go with --task classification, which has linear"],
      [["--dry-run"], "--dry-run is for dense tasks"],
      [
        ["--set", "optimizer.learningRate=1e3", "--epochs", "30", "--set", "training.batch=10"],
        "Training diverged",
      ],
    ] as const
  ) {
    const { status, out } = await finetune(...given, ...wrong);
    assert(status !== 0);
    assertStringIncludes(out, says);
  }
  await assertMissing(`${folder}/out/last.safetensors`);
});

async function assertMissing(path: string): Promise<void> {
  assertEquals(await Deno.stat(path).then(() => true, () => false), false);
}
