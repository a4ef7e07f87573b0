import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { correlateCommand } from "../../src/cli/correlate.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

const correlate = (...args: string[]) => runInProcess(correlateCommand, args);
const small = ["--images", "16", "--subnets", "4"];

cliTest("correlate scores and judges subnets, and pretrains a second seed", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run, ["training.epochs=1"]);
  const { status, out, err } = await correlate("--run", run, ...small, "--seeds", "2", "--json");
  assertEquals(status, 0, err);
  const result = JSON.parse(out);
  assertEquals(result.protocol, "knn");
  assertEquals(result.settings.queries, 8);
  assertEquals(result.settings.bank, 32);
  assertEquals(result.subnets.length, 4);
  assertEquals([result.settings.naswotImages, result.settings.initialisations], [16, 3]);
  for (const { downstream, scores, zeroCost } of result.subnets) {
    assertEquals(Object.keys(zeroCost), ["naswot", "synflow"]);
    assert(Object.values(zeroCost).every((score) => Number.isFinite(score)));
    assertEquals(downstream.length, 2);
    assert(downstream.every((accuracy: number) => Number.isInteger(8 * accuracy)));
    assertEquals(Object.keys(scores), [
      "cosine",
      "cosine, recalibrated",
      "affinity",
      "affinity, recalibrated",
      "cka",
      "cka, recalibrated",
    ]);
  }
  assertEquals(result.correlations.map(({ kind }: { kind: string }) => kind), [
    ...Array(6).fill("score"),
    ...Array(5).fill("rival"),
  ]);
  assertEquals(Object.keys(result.correlations[0].over), [
    "macs",
    "params",
    "lastWidth",
    "naswot",
    "synflow",
  ]);
  assert(result.ceiling !== null);
  const file = JSON.parse(await Deno.readTextFile(result.file));
  assertEquals(file.subnets, result.subnets);
  assertStringIncludes(await Deno.readTextFile(result.report), result.subnets[3].arch);
  const other = JSON.parse(await Deno.readTextFile(`${run}/correlate/seed-4/config.json`));
  assertEquals([other.training.seed, other.data.seed], [4, 3]);
  const names = (await Array.fromAsync(Deno.readDir(`${run}/correlate`))).map(({ name }) => name).sort();
  assertEquals(names, ["correlation.json", "report.html", "seed-4"]);

  // Again: the second run is there already, and the results are the same.
  const again = await correlate("--run", run, ...small, "--seeds", "2", "--json");
  assertEquals(again.status, 0, again.err);
  assertEquals(JSON.parse(again.out).subnets, result.subnets);
  const table = await correlate("--run", run, ...small);
  assertEquals(table.status, 0, table.err);
  assertMatch(table.out, /cosine, recalibrated +\S+ /);
  assertStringIncludes(table.out, "--seeds 2");

  // By a linear probe: scores are the same, results have files of their own, and no run is made anew.
  const probed = await correlate("--run", run, ...small, "--seeds", "2", "--protocol", "linear", "--json");
  assertEquals([probed.status, probed.err.includes("pretrain")], [0, false], probed.err);
  const linear = JSON.parse(probed.out);
  assertEquals([linear.protocol, linear.settings.features, linear.file], [
    "linear",
    "pooled",
    `${run}/correlate/correlation-linear.json`,
  ]);
  const scores = (subnets: { scores: unknown }[]) => subnets.map(({ scores }) => scores);
  assertEquals(scores(linear.subnets), scores(result.subnets));
  assertNotEquals(linear.subnets, result.subnets);
  assertStringIncludes(await Deno.readTextFile(linear.report), "linear probe, seed 2");
  assertEquals(JSON.parse(await Deno.readTextFile(result.file)).protocol, "knn");
});

cliTest("correlate continues only where it is asked to, and with the same flags", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  const first = await correlate("--run", run, ...small, "--json");
  const saved = `${run}/correlate/interrupted.json`;
  await Deno.mkdir(`${run}/correlate`, { recursive: true });
  const settings = { version: "another" };
  await Deno.writeTextFile(saved, JSON.stringify({ settings, scores: {}, outcomes: {} }));
  assertEquals(first.status, 0, first.err);
  const without = await correlate("--run", run, ...small);
  assertEquals([without.status, without.err.includes("--resume")], [2, true], without.err);
  const other = await correlate("--run", run, ...small, "--resume");
  assertEquals([other.status, other.err.includes("another version")], [2, true], other.err);
  await Deno.writeTextFile(saved, "{");
  const damaged = await correlate("--run", run, ...small, "--resume");
  assertEquals([damaged.status, damaged.err.includes("damaged")], [1, true], damaged.err);
});

cliTest("correlate needs labels", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  const config = JSON.parse(await Deno.readTextFile(`${run}/config.json`));
  assertEquals(config.knn.every > 0, true);
  const flat = `${folder}/flat`;
  await Deno.mkdir(flat);
  const { default: sharp } = await import("sharp");
  for (let at = 0; at < 20; at++) {
    await sharp({ create: { width: 16, height: 16, channels: 3, background: { r: 10 * at, g: 100, b: 9 } } })
      .png().toFile(`${flat}/${at}.png`);
  }
  const { status, err } = await correlate("--run", run, ...small, "--data", `folder:${flat}`);
  assertEquals(status, 2, err);
  assertStringIncludes(err, "--test-data");
});

cliTest(
  "subnets are trained with a head and judged by mean IoU or AP; an interrupted study goes on",
  async (folder) => {
    const run = `${folder}/run`, settings = `${folder}/settings.json`;
    await createRun(run);
    await Deno.writeTextFile(settings, JSON.stringify({ training: { epochs: 1, batch: 2 } }));
    const dense = ["--data", "synthetic:6", "--test-data", "synthetic:4", "--config", settings, "--json"];
    const fcn = ["--run", run, ...small, ...dense, "--protocol", "segmentation"];
    const crop = ["--set", "segmentation.outputStride=4", "--set", "segmentation.crop=[24,32]"];
    const { status, out, err } = await correlate(...fcn, ...crop);
    assertEquals(status, 0, err + out);
    const { protocol, settings: said, subnets, correlations, file, report } = JSON.parse(out);
    assertEquals([protocol, said.head, said.task], ["segmentation", "fcn", "segmentation"]);
    assertEquals([said.trainImages, said.testImages, said.imageSize, said.outputStride], [6, 4, 24, 4]);
    for (const { downstream: [mIoU], scores } of subnets) {
      assert(mIoU > 0 && mIoU < 1);
      assertEquals(Object.keys(scores)[0], "affinity");
    }
    assert(correlations.length > 5);
    assertEquals(file, `${run}/correlate/correlation-segmentation.json`);
    assertStringIncludes(await Deno.readTextFile(report), "Mean IoU over affinity");
    const again = JSON.parse((await correlate(...fcn, ...crop)).out);
    assertEquals(again.subnets, subnets);

    for (
      const [wrong, ...says] of [
        [["--run", run, ...small, "--head", "fcn"], "--head goes with --protocol segmentation"],
        [[...fcn, "--head", "mask-rcnn"], "--head mask-rcnn does not go with --task segmentation"],
        [
          ["--run", run, ...small, "--protocol", "instances", "--data", "synthetic:4"],
          "--test-data must be given",
        ],
        [fcn, "segmentation.outputStride is 16, but this network has 4"],
      ] as const
    ) {
      const refused = await correlate(...wrong);
      assertEquals(refused.status, 2, refused.err);
      assertStringIncludes(refused.err + refused.out, says[0]);
    }
  },
);
