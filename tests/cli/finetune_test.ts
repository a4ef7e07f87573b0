/** `deno task finetune` on tiny sets of files: what it writes, and what it never writes over. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { finetuneCommand } from "../../src/cli/finetune.ts";
import { readLabelPng } from "../../src/data/dense/label_ids.ts";
import { gray, photo } from "../data/dense/files.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

const side = 16;
const classes = { classes: [{ id: 3, name: "left" }, { id: 9, name: "right" }], ignore: [255] };

/** Two photos in `images/`, their labels in `labels/`, below a folder for each split. */
async function writeSet(root: string): Promise<void> {
  const label = await gray(Array.from({ length: side * side }, (_, at) => at % side < 8 ? 3 : 9), side);
  for (const split of ["train", "test"]) {
    for (const folder of ["images", "labels"]) {
      await Deno.mkdir(`${root}/${folder}/${split}`, { recursive: true });
    }
    for (const name of ["a", "b"]) {
      await Deno.writeFile(`${root}/images/${split}/${name}.png`, await photo(side, side));
      await Deno.writeFile(`${root}/labels/${split}/${name}.png`, label);
    }
  }
  await Deno.writeTextFile(`${root}/classes.json`, JSON.stringify(classes));
}

cliTest(
  "a subnet by its id is trained and tested; predictions have the set's ids, and spare its labels",
  async (folder) => {
    const [run, set, out, predictions] = ["run", "set", "out", "predictions"].map((name) =>
      `${folder}/${name}`
    );
    await createRun(run);
    await writeSet(set);
    const args = [
      ...[
        "--run",
        run,
        "--arch",
        "8-8.6.16-1.2.1",
        "--data",
        `masks:${set}/train`,
        "--test-data",
        `masks:${set}/test`,
      ],
      ...["--out", out, "--epochs", "1", "--set", "training.batch=2", "--set", "segmentation.outputStride=8"],
      ...["--set", "segmentation.crop=[16,16]", "--json"],
    ];
    const finetune = (...more: string[]) => runInProcess(finetuneCommand, [...args, ...more]);
    const stride = await finetune();
    assertEquals([
      stride.status,
      stride.out.includes("segmentation.outputStride is 8, but this network has 4"),
    ], [2, true]);
    args.push("--set", "segmentation.outputStride=4");
    const other = await finetune("--head", "psp", "--set", "segmentation.convolutions=2");
    assertEquals([other.status, other.out.includes("--head psp has no such part")], [2, true]);
    // Both before anything is written.
    assertEquals(await Deno.stat(out).then(() => true, () => false), false);

    const before = await Deno.readFile(`${set}/labels/test/a.png`);
    for (const place of [`${set}/labels/test`, `${set}/new/folder`]) {
      const { status, out } = await finetune("--predictions", place);
      assertEquals(status, 2);
      assertStringIncludes(out, "beside images and labels");
    }
    await Deno.mkdir(`${folder}/other`);
    await Deno.writeTextFile(`${folder}/other/mine.png`, "mine");
    assertStringIncludes(
      (await finetune("--predictions", `${folder}/other`)).out,
      "holds other files, e.g. mine.png",
    );
    assertEquals(await Deno.readFile(`${set}/labels/test/a.png`), before);

    const { status, out: printed, err } = await finetune("--predictions", predictions);
    assertEquals(status, 0, err + printed);
    const { task, head, arch, metrics, steps } = JSON.parse(printed);
    assertEquals([task, head, arch, steps], ["segmentation", "fcn", "8-8.6.16-1.2.1", 1]);
    assertEquals(metrics.perClass.map((one: { class: string }) => one.class), ["left", "right"]);
    const written = await Array.fromAsync(Deno.readDir(predictions), ({ name }) => name);
    assertEquals(written.toSorted(), ["a.png", "b.png", "predictions.json"]);
    const { values } = await readLabelPng(`${predictions}/a.png`);
    assertEquals([...new Set(values)].filter((id) => id !== 3 && id !== 9), []);

    assertStringIncludes((await finetune("--resume")).out, "is finished");
    const again = await finetune("--predictions", predictions);
    assertEquals(again.status, 0, "earlier predictions and results are replaced");
  },
);
