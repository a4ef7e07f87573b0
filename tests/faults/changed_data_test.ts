/** Images that change under a run: resuming refuses or is told to accept, and what was held out is never chosen. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import sharp from "sharp";
import { embedCommand } from "../../src/cli/embed.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { searchCommand } from "../../src/cli/search.ts";
import { openChosenImages } from "../../src/data/chosen_images.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { readCheckpointConfig } from "../../src/pretrain/checkpoint.ts";
import { purpose, Random } from "../../src/random.ts";
import { type DataRecord, dataRecordPath, readDataRecord } from "../../src/store/data_record.ts";
import { cliTest, runInProcess } from "../cli/run_command.ts";
import { copyFolder, pretrain, snapshot } from "./run_files.ts";

const shade = (red: number) =>
  sharp({ create: { width: 16, height: 16, channels: 3, background: { r: red, g: 90, b: 200 - red } } })
    .tiff({ compression: "none" }).toBuffer(); // equally long whatever the shade

const count = 40;
const nameOf = (number: number) => `${number % 2 ? "odd" : "even"}/${String(number).padStart(2, "0")}.tif`;

/** Two classes of images. */
async function writeImages(folder: string): Promise<void> {
  await Deno.mkdir(`${folder}/odd`, { recursive: true });
  await Deno.mkdir(`${folder}/even`);
  for (let number = 0; number < count; number++) {
    await Deno.writeFile(`${folder}/${nameOf(number)}`, await shade(4 * number));
  }
}

const sets = ["--set", "data.heldOut=10", "--set", "training.batch=8"];

/** A run of one epoch on `folder/images`, in `folder/run`. */
async function startRun(folder: string, ...args: string[]): Promise<DataRecord> {
  const { status, err } = await pretrain(
    folder,
    ...["--out", `${folder}/run`, "--data", `folder:${folder}/images`, "--epochs", "1"],
    ...(args.length > 0 ? args : sets),
  );
  assertEquals(status, 0, err);
  return (await readDataRecord(`${folder}/run`))!;
}

const resume = (folder: string, ...args: string[]) =>
  pretrain(
    folder,
    "--out",
    `${folder}/run`,
    "--resume",
    ...(args.includes("--epochs") ? [] : ["--epochs", "2"]),
    ...args,
  );

const heldOutPaths = ({ heldOut, list }: DataRecord) => heldOut.map((index) => list.files[index].path).sort();

cliTest("a run records its images, and goes on with them", async (folder) => {
  await writeImages(`${folder}/images`);
  const record = await startRun(folder);
  assertEquals([record.list.files.length, record.heldOut.length, record.unreadable], [count, 10, []]);
  const { status, err } = await resume(folder);
  assertEquals(status, 0, err);
  assertEquals(await readDataRecord(`${folder}/run`), record);
  // A copy has other time stamps and the same images.
  await copyFolder(`${folder}/images`, `${folder}/copy`);
  await Deno.remove(`${folder}/images`, { recursive: true });
  await Deno.rename(`${folder}/copy`, `${folder}/images`);
  assertEquals((await resume(folder, "--epochs", "3")).status, 0);
});

const changes: Record<string, [change: (images: string, victim: string) => Promise<void>, words: RegExp]> = {
  added: [
    async (images) => await Deno.writeFile(`${images}/odd/00a.tif`, await shade(199)),
    /1 added \("odd\/00a.tif"\)/,
  ],
  removed: [(images, victim) => Deno.remove(`${images}/${victim}`), /1 removed \("/],
  renamed: [(images, victim) => Deno.rename(`${images}/${victim}`, `${images}/odd/zz.tif`), /1 renamed \("/],
  "replaced by one as long, with its time stamps": [async (images, victim) => {
    const path = `${images}/${victim}`;
    const { size, atime, mtime } = await Deno.stat(path);
    await Deno.writeFile(path, await shade(197));
    await Deno.utime(path, atime!, mtime!);
    assertEquals((await Deno.stat(path)).size, size);
  }, /1 with other contents \("/],
  broken: [(images, victim) => Deno.truncate(`${images}/${victim}`, 300), /1 with other contents \("/],
  "hidden by a folder": [async (images, victim) => {
    await Deno.remove(`${images}/${victim}`);
    await Deno.mkdir(`${images}/${victim}`);
  }, /1 removed \("/],
};

for (const [name, [change, words]] of Object.entries(changes)) {
  cliTest(`an image ${name}: refused on resume, nothing touched; accepted when told to`, async (folder) => {
    await writeImages(`${folder}/images`);
    const record = await startRun(folder);
    const before = await snapshot(`${folder}/run`);
    await change(`${folder}/images`, heldOutPaths(record)[3]);
    const refused = await resume(folder);
    assertEquals(refused.status, 1, refused.err);
    assertMatch(refused.err, words);
    assertMatch(refused.err, /data\.source .* --accept-changed-data/);
    assertEquals(await snapshot(`${folder}/run`), before);

    const accepted = await resume(folder, "--accept-changed-data");
    assertEquals(accepted.status, 0, accepted.err);
    const now = (await readDataRecord(`${folder}/run`))!;
    assertEquals(now.accepted.map(({ step, before }) => [step, before]), [[3, record.list.digest]]);
    assertMatch(now.accepted[0].change, words);
    // Nothing that was held out is trained on.
    const contents = new Set(record.heldOut.map((index) => record.list.files[index].digest));
    const heldOut = new Set(now.heldOut);
    now.list.files.forEach(({ path, digest }, index) => {
      const was = heldOutPaths(record).includes(path) || contents.has(digest);
      assertEquals(heldOut.has(index), was, path);
    });
    assertEquals((await resume(folder, "--epochs", "3")).status, 0);
  });
}

cliTest(
  "a broken file moves no other between the images that are trained on and those held out",
  async (folder) => {
    await writeImages(`${folder}/images`);
    const whole = await startRun(folder);
    await Deno.rename(`${folder}/run`, `${folder}/whole`);
    const victims = [0, 7, 20].map(nameOf);
    const contents = await Promise.all(victims.map((victim) => Deno.readFile(`${folder}/images/${victim}`)));
    for (const victim of victims) await Deno.truncate(`${folder}/images/${victim}`, 100);
    const broken = await startRun(folder);
    assertEquals(broken.heldOut, whole.heldOut);
    assertEquals(broken.unreadable.map(([index]) => broken.list.files[index].path), [...victims].sort());
    // Repaired, they are other images than the run began with.
    for (const [at, victim] of victims.entries()) {
      await Deno.writeFile(
        `${folder}/images/${victim}`,
        contents[at],
      );
    }
    const { status, err } = await resume(folder);
    assertEquals(status, 1);
    assertMatch(err, /3 with other contents/);
  },
);

/** Paths of all images that a command may choose, by asking for all. */
async function choosable(
  folder: string,
  source?: string,
): Promise<{ paths: Set<string>; warnings: string[] }> {
  const warnings: string[] = [];
  const config = await readCheckpointConfig(`${folder}/run/checkpoints/last.safetensors`);
  using gpu = await openGpu();
  const request = {
    source,
    images: 1000,
    record: await readDataRecord(`${folder}/run`),
    onWarning: (text: string) => void warnings.push(text),
  };
  const chosen = await openChosenImages(gpu, config, request, new Random(1, purpose.test), () => {});
  const paths = new Set<string>();
  for (let at = 0; at < chosen.count; at++) {
    const tensor = await chosen.load(at, at + 1);
    const [red] = await tensor.read();
    tensor.release();
    const shades = Array.from(
      { length: count },
      (_, number) => (4 * number / 255 - config.data.mean[0]) / config.data.std[0],
    );
    const nearest = shades.reduce(
      (best, value, number) => Math.abs(value - red) < Math.abs(shades[best] - red) ? number : best,
      0,
    );
    paths.add(nameOf(nearest));
  }
  chosen.release();
  return { paths, warnings };
}

cliTest(
  "what was held out is never chosen: as it was, changed, named by hand, through a link",
  async (folder) => {
    await writeImages(`${folder}/images`);
    const record = await startRun(folder);
    const heldOut = new Set(heldOutPaths(record));
    await Deno.symlink(`${folder}/images`, `${folder}/link`);
    for (const source of [undefined, `folder:${folder}/images/`, `folder:${folder}/link`]) {
      const { paths, warnings } = await choosable(folder, source);
      assertEquals([paths.size, warnings], [count - 10, []], source);
      assert([...paths].every((path) => !heldOut.has(path)));
    }
    // Another file takes each place: the split by places would move.
    await Deno.remove(`${folder}/images/${nameOf(0)}`);
    await Deno.remove(`${folder}/images/${nameOf(1)}`);
    const changed = await choosable(folder);
    assert([...changed.paths].every((path) => !heldOut.has(path)));
    assertMatch(changed.warnings.join(), /2 removed .* Only the \d+ images that it was trained on/);
    // All others.
    await Deno.remove(`${folder}/images`, { recursive: true });
    await Deno.mkdir(`${folder}/images`);
    await Deno.writeFile(`${folder}/images/new.png`, await sharp(await shade(9)).png().toBuffer());
    await Deno.writeFile(`${folder}/images/newer.png`, await sharp(await shade(8)).png().toBuffer());
    const args = ["--run", `${folder}/run`, "--all", "--images", "8", "--batch", "4"];
    const refused = await runInProcess(searchCommand, args);
    assertEquals(refused.status, 1);
    assertMatch(refused.err, /no longer what the run was trained on: 2 added .*40 removed .*--data/);
  },
);

cliTest(
  "a run that held nothing out is searched, cut and embedded: unlabelled photos, and no kNN",
  async (folder) => {
    for (
      const [name, args] of Object.entries({
        flat: ["--set", "training.batch=8", "--set", "data.heldOut=512"],
        classes: ["--set", "training.batch=8", "--set", "data.heldOut=39", "--set", "knn.every=0"],
      })
    ) {
      const own = `${folder}/${name}`;
      await Deno.mkdir(own);
      await writeImages(`${own}/images`);
      if (name === "flat") {
        for (const kind of ["odd", "even"]) {
          for await (const file of Deno.readDir(`${own}/images/${kind}`)) {
            await Deno.rename(`${own}/images/${kind}/${file.name}`, `${own}/images/${file.name}`);
          }
          await Deno.remove(`${own}/images/${kind}`);
        }
      }
      const record = await startRun(own, ...args);
      assertEquals([record.list.images, record.heldOut], [count, []]);
      const run = ["--run", `${own}/run`];
      const searched = await runInProcess(searchCommand, [
        ...run,
        "--all",
        "--images",
        "40",
        "--batch",
        "20",
        "--json",
      ]);
      assertEquals(searched.status, 0, searched.err);
      assertEquals(JSON.parse(searched.out).images, count);
      const cut = await runInProcess(extractCommand, [
        ...run,
        "--arch",
        "max",
        "--out",
        `${own}/max.safetensors`,
        "--json",
      ]);
      assertEquals(cut.status, 0, cut.err);
      assertEquals(JSON.parse(cut.out).models[0].calibration.images, count);
      const data = ["--data", `folder:${own}/images`];
      const embedded = await runInProcess(embedCommand, [
        ...run,
        ...data,
        "--out",
        `${own}/f.safetensors`,
        "--json",
      ]);
      assertEquals(embedded.status, 0, embedded.err);
      assertEquals([JSON.parse(embedded.out).images, JSON.parse(embedded.out).calibration.images], [
        count,
        count,
      ]);
    }
  },
);

cliTest("a run without a record goes on and is searched with a warning, and gets one", async (folder) => {
  await writeImages(`${folder}/images`);
  await startRun(folder);
  await Deno.remove(dataRecordPath(`${folder}/run`));
  const args = ["--run", `${folder}/run`, "--all", "--images", "8", "--batch", "4"];
  const searched = await runInProcess(searchCommand, args);
  assertEquals(searched.status, 0, searched.err);
  assertMatch(searched.err, /no record of its images .* 10 of those that are there now/);
  const { status, err } = await resume(folder);
  assertEquals(status, 0, err);
  assertMatch(err, /no record of its images .* gets one now/);
  assertEquals((await readDataRecord(`${folder}/run`))!.heldOut.length, 10);
});

cliTest("a damaged record is refused, and nothing is touched", async (folder) => {
  await writeImages(`${folder}/images`);
  await startRun(folder);
  const path = dataRecordPath(`${folder}/run`);
  const text = await Deno.readTextFile(path);
  const damages = [
    "",
    "{}",
    text.slice(0, -20),
    text.replace('"heldOut":[', '"heldOut":[0,'),
    "\0".repeat(100),
  ];
  for (const damaged of damages) {
    await Deno.writeTextFile(path, damaged);
    const before = await snapshot(`${folder}/run`);
    for (
      const { status, err } of [
        await resume(folder),
        await runInProcess(searchCommand, ["--run", `${folder}/run`, "--all", "--out", `${folder}/s`]),
        await runInProcess(extractCommand, [
          "--run",
          `${folder}/run`,
          "--arch",
          "max",
          "--out",
          `${folder}/m.onnx`,
        ]),
      ]
    ) {
      assertEquals(status, 1);
      assertMatch(err, /data\.json is no record of a run's images: it is damaged/);
    }
    assertEquals(await snapshot(`${folder}/run`), before);
  }
});
