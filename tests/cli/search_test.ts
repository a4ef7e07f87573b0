import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import sharp from "sharp";
import { extractCommand } from "../../src/cli/extract.ts";
import { searchCommand } from "../../src/cli/search.ts";
import { readRanking } from "../../src/extract/ranking_file.ts";
import { formatArchitecture } from "../../src/elastic/architecture.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { writeSafetensors } from "../../src/store/safetensors.ts";
import { basicSpace } from "../extract/encoders.ts";
import { randomValues } from "../helpers.ts";
import { interruptSearch } from "./interrupt_search.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

const space = new SearchSpace(basicSpace);
const search = (...args: string[]) => runInProcess(searchCommand, args);
const small = ["--images", "16", "--batch", "8"];

cliTest("search ranks a whole space and writes its files", async (folder) => {
  await createRun(`${folder}/run`);
  const args = ["--run", `${folder}/run`, "--all", ...small, "--json"];
  const { status, out, err } = await search(...args);
  assertEquals(status, 0, err);
  const { groups, seconds, blockEvaluations, ...rest } = JSON.parse(out);
  const ranking = `${folder}/run/search/ranking.json`;
  assertEquals(rest, {
    metric: "cosine",
    task: "classification",
    images: 16,
    evaluated: space.size,
    ranking,
  });
  assert(seconds > 0 && blockEvaluations.saved > blockEvaluations.done);
  for (const { from, to, best } of groups) {
    assert(from <= best.macs && best.macs < to && best.params > 0 && best.score <= 1 + 1e-6);
  }
  const largest = groups.at(-1).best;
  assertEquals(largest.arch, formatArchitecture(space.max));
  assert(Math.abs(largest.score - 1) < 1e-5, "a new teacher is its student");

  const file = JSON.parse(await Deno.readTextFile(ranking));
  assertEquals(file.ranking.length, space.size);
  assertEquals(new Set(file.ranking.map(({ arch }: { arch: string }) => arch)).size, space.size);
  assertEquals(Object.keys(file.ranking[0].scorePerStage), ["projection"]);
  assertEquals((await readRanking(ranking)).candidates.length, space.size);
  const winners = file.groups.map((group: { dominatedBy: string | null }) => group.dominatedBy);
  assertEquals(groups.map((group: { dominatedBy: string | null }) => group.dominatedBy), winners);
  const csv = (await Deno.readTextFile(`${folder}/run/search/ranking.csv`)).trimEnd().split("\n");
  assertEquals(csv.length, space.size + 1);
  const report = await Deno.readTextFile(`${folder}/run/search/report.html`);
  assertStringIncludes(report, groups[0].best.arch);
  const files = (await Array.fromAsync(Deno.readDir(`${folder}/run/search`))).map(({ name }) => name).sort();
  assertEquals(files, ["ranking.csv", "ranking.json", "report.html"]);

  // The same images, the same scores.
  await search(...args);
  assertEquals(JSON.parse(await Deno.readTextFile(ranking)).ranking, file.ranking);
});

cliTest("search ranks within budgets, and marks in its table what a cheaper one outdoes", async (folder) => {
  await createRun(`${folder}/run`);
  const args = ["--run", `${folder}/run`, "--all", ...small, "--group-size", "0.05M"];
  const all = await search(...args, "--json");
  assertEquals(all.status, 0, all.err);
  const { groups, ranking } = JSON.parse(all.out);
  const outdone = groups.filter(({ dominatedBy }: { dominatedBy: string | null }) => dominatedBy !== null);
  assert(outdone.length > 0 && outdone.length < groups.length);
  const { macs, params } = JSON.parse(await Deno.readTextFile(ranking)).ranking.at(-1);
  const budgets = ["--macs", `..${macs - 1}`, "--params", `..${params - 1}`];
  const { status, out, err } = await search(...args, ...budgets);
  assertEquals(status, 0, err);
  const file = JSON.parse(await Deno.readTextFile(ranking));
  assert(file.evaluated < space.size && file.evaluated > 0);
  for (const candidate of file.ranking) assert(candidate.macs < macs && candidate.params < params);
  for (const { best, dominatedBy } of file.groups) {
    const line = out.split("\n").find((line) => line.includes(` ${best.arch} `))!;
    assertEquals(line.includes(`outdone by the cheaper ${dominatedBy}`), dominatedBy !== null, line);
  }
});

cliTest("search takes some of each group, and named architectures, and measures the best", async (folder) => {
  await createRun(`${folder}/run`);
  const run = ["--run", `${folder}/run`, ...small, "--json", "--task", "detection"];
  const { status, out, err } = await search(
    ...run,
    ...["--per-group", "3", "--group-size", "0.2M", "--arch", "inner", "--measure-best", "1"],
  );
  assertEquals(status, 0, err);
  assertStringIncludes(err, "groups with fewer than 3 architectures are taken whole: ");
  const { groups, ranking, evaluated, metric } = JSON.parse(out);
  assertEquals(metric, "affinity");
  assert(evaluated < space.size && evaluated >= groups.length);
  assert(groups.every(({ best }: { best: { msPerImage: number } }) => best.msPerImage > 0));
  const file = JSON.parse(await Deno.readTextFile(ranking));
  const timed = file.ranking.filter(({ msPerImage }: { msPerImage?: number }) => msPerImage !== undefined);
  assertEquals(timed.length, groups.length);
  assertEquals(Object.keys(file.ranking[0].scorePerStage), ["c2", "c3", "c4"]);
  assert(file.ranking.some(({ arch }: { arch: string }) => arch === "8-8.6.16-1.2.1"));

  const only = await search(...run, "--arch", "min", "--arch", "inner", "--batchnorm", "recalibrated");
  assertEquals(JSON.parse(only.out).evaluated, 2, only.err);
});

/** A candidate, as far as the tests below look at it. */
interface Ranked {
  readonly arch: string;
  readonly macs: number;
  readonly score: number;
  readonly interval: [number, number];
  readonly tiedWithBest: boolean;
  readonly withinBudget?: boolean;
  readonly latency?: { batch: number; msPerImage: number }[];
}

cliTest("search says which scores are tied, and prefers the cheaper of them on request", async (folder) => {
  await createRun(`${folder}/run`);
  const args = ["--run", `${folder}/run`, "--all", ...small, "--group-size", "0.1M"];
  const read = async () => JSON.parse(await Deno.readTextFile(`${folder}/run/search/ranking.json`));
  const plain = await search(...args);
  assertEquals(plain.status, 0, plain.err);
  const before = await read();
  assertEquals(before.intervals, { level: 0.95, resamples: 1000, blocks: 16 });
  const members = ({ from, to }: { from: number; to: number }, all: Ranked[]) =>
    all.filter(({ macs }) => macs >= from && macs < to);
  let cheaper = 0;
  for (const { best, highest, tied, ...group } of before.groups) {
    const all = members(group, before.ranking);
    assertEquals([best.arch, best.tiedWithBest, all[0].arch], [highest, true, highest]);
    assertEquals(all.filter(({ tiedWithBest }) => tiedWithBest).length, tied + 1);
    for (const { score, interval: [low, high] } of all) assert(low <= score + 1e-6 && score <= high + 1e-6);
    const line = plain.out.split("\n").find((line) => line.includes(` ${best.arch} `))!;
    assertStringIncludes(line, ` ± ${((best.interval[1] - best.interval[0]) / 2).toFixed(4)}`);
    assertEquals(line.includes(` ${tied} tied`), tied > 0, line);
    if (all.some(({ macs, tiedWithBest }) => tiedWithBest && macs < best.macs)) cheaper++;
  }
  assert(cheaper > 0, "a preference makes a difference");
  assert(
    before.groups.some(({ tied, evaluated }: { tied: number; evaluated: number }) => tied < evaluated - 1),
  );

  const preferred = await search(...args, "--prefer", "macs", "--json");
  assertEquals(preferred.status, 0, preferred.err);
  const after = await read();
  const byName = (all: Ranked[]) => all.toSorted((a, b) => a.arch < b.arch ? -1 : 1);
  assertEquals(byName(after.ranking), byName(before.ranking), "only the order differs");
  assertEquals(after.prefer, "macs");
  for (const [index, group] of after.groups.entries()) {
    const alike = members(group, before.ranking).filter(({ tiedWithBest }) => tiedWithBest);
    const fewest = Math.min(...alike.map(({ macs }) => macs));
    assertEquals([group.best.macs, group.highest], [fewest, before.groups[index].highest]);
    assertEquals(members(group, after.ranking)[0].arch, group.best.arch);
  }
  const { groups } = JSON.parse(preferred.out);
  assertEquals(
    groups.map(({ best }: { best: Ranked }) => best.arch),
    after.groups.map(({ best }: { best: Ranked }) => best.arch),
  );
  const [header, line] = (await Deno.readTextFile(`${folder}/run/search/ranking.csv`)).split("\n");
  assert(header.endsWith(",score_projection,score_low,score_high,tied_with_best"), header);
  assert(line.endsWith(`,${after.ranking[0].interval},true`), line);

  // What is cut out follows the ranking.
  const models = ["--run", `${folder}/run`, "--calibrate", "0", "--json", "--out", `${folder}/models`];
  const extracted = await runInProcess(extractCommand, [...models, "--best-per-group"]);
  assertEquals(
    JSON.parse(extracted.out).models.map(({ arch }: Ranked) => arch),
    after.groups.map(({ best }: { best: Ranked }) => best.arch),
    extracted.err,
  );
});

cliTest("search keeps to a budget of time, and what is cut out as well", async (folder) => {
  await createRun(`${folder}/run`);
  const args = ["--run", `${folder}/run`, "--all", ...small, "--group-size", "0.5M"];
  const none = await search(...args, "--latency", "..0.001us", "--measure-best", "1");
  assertEquals([none.status, none.out], [2, ""]);
  assertStringIncludes(
    none.err,
    "architectures that were measured takes at most 0.000001 ms for a single image",
  );
  assertStringIncludes(none.err, "give the same command with --resume and another --latency");

  // The scores were kept: nothing but times is missing.
  const wide = await search(...args, "--latency", "..60s", "--resume", "--json");
  assertEquals(wide.status, 0, wide.err);
  const path = `${folder}/run/search/ranking.json`;
  const { latencyBudget, ranking, groups } = JSON.parse(await Deno.readTextFile(path));
  assertEquals(latencyBudget, { to: 60_000 });
  const timed = ranking.filter(({ latency }: Ranked) => latency) as Ranked[];
  assertEquals(
    timed.map(({ arch }) => arch),
    groups.map(({ highest }: { highest: string }) => highest),
    "no more",
  );
  assert(timed.every(({ withinBudget, latency }) => withinBudget && latency![0].batch === 1));

  const models = ["--run", `${folder}/run`, "--calibrate", "0", "--json", "--out", `${folder}/models`];
  const times = timed.map(({ latency }) => latency![0].msPerImage);
  const fastest = timed[times.indexOf(Math.min(...times))];
  const extracted = await runInProcess(extractCommand, [
    ...models,
    "--best",
    "--latency",
    `..${Math.min(...times)}ms`,
  ]);
  assertEquals(
    JSON.parse(extracted.out).models.map(({ arch }: Ranked) => arch),
    [fastest.arch],
    extracted.err,
  );
  const nothing = await runInProcess(extractCommand, [...models, "--best", "--latency", "..1us"]);
  assertEquals(nothing.status, 2);
  assertStringIncludes(nothing.err, `Of them ${timed.length} were measured: a single image takes`);
});

cliTest("search stays within --memory with smaller batches", async (folder) => {
  await createRun(`${folder}/run`);
  const args = ["--run", `${folder}/run`, "--all", "--images", "32", "--batch", "32", "--json"];
  const { status, err } = await search(...args, "--memory", "1.3M");
  assertEquals(status, 0, err);
  assertStringIncludes(err, "in place of 32, to fit into 1 300 000 bytes");
});

cliTest("a dry run counts the work, without a run as well", async (folder) => {
  const { status, out, err } = await search(
    ...["--dry-run", "--all", "--config", "configs/demo.json", "--json"],
  );
  assertEquals(status, 0, err);
  const { candidates, blocks, macsPerImage, macsPerSecond, seconds } = JSON.parse(out);
  assertEquals([candidates, blocks.tree, blocks.alone], [108, 160, 432]);
  assert(macsPerImage.alone > 4 * macsPerImage.tree && macsPerSecond > 0 && seconds.alone > seconds.tree);
  await createRun(`${folder}/run`);
  const readable = await search("--dry-run", "--run", `${folder}/run`, "--per-group", "1");
  assertEquals(readable.status, 0, readable.err);
  assertStringIncludes(readable.out, "with shared prefixes");
  assert(!await Deno.stat(`${folder}/run/search`).then(() => true, () => false), "nothing is written");
});

cliTest("search refuses what it cannot do, with the reason", async (folder) => {
  const run = await createRun(`${folder}/run`);
  const at = ["--run", `${folder}/run`];
  const refused = async (expected: number, message: string, ...args: string[]) => {
    const { status, out, err } = await search(...args);
    assertStringIncludes(err, message);
    assertEquals([status, out], [expected, ""]);
  };
  const wide = { shape: [8, 3, 20, 20], data: randomValues(8 * 3 * 400, 1) };
  await writeSafetensors(`${folder}/wide.safetensors`, [["images", { dtype: "F32", ...wide }]]);

  await refused(2, "--run DIR is missing");
  await refused(2, "--all and --per-group", ...at, "--all", "--per-group", "3");
  await refused(2, "--config goes with --dry-run only", "--config", "configs/demo.json");
  await refused(2, "--run and --config are given", ...at, "--config", "configs/demo.json", "--dry-run");
  await refused(2, "--cka-samples goes with --metric cka", ...at, "--cka-samples", "images");
  await refused(2, "cannot compare c2", ...at, "--task", "detection", "--metric", "cosine");
  await refused(2, "--images 3 is too few", ...at, "--metric", "cka", "--images", "3");
  await refused(2, '--macs cannot be "big"', ...at, "--macs", "big");
  await refused(2, '--latency cannot be "..5km". Allowed: ..TO', ...at, "--latency", "..5km");
  await refused(2, '--prefer cannot be "size"', ...at, "--prefer", "size");
  const few = ["--images", "8", "--batch", "8"];
  await refused(2, "needs at least 10 images, to say", ...at, ...few, "--prefer", "macs");
  await refused(2, "The flags are --prefer and --images", ...at, ...few, "--prefer", "macs");
  await refused(2, '--width cannot be "9=4"', ...at, "--width", "9=4");
  await refused(2, "passes the filters", ...at, "--macs", "1T..");
  await refused(2, "The flags are --macs, --params", ...at, "--macs", "1T..");
  await refused(2, "The flags are --memory, --batch", ...at, "--memory", "1K");
  await refused(2, "stage 2 width 7 is not one of 6, 12", ...at, "--arch", "4-4.7.16-1.1.1");
  await refused(2, "max, min, inner", ...at, "--arch", "r50");
  await refused(2, "there is no interrupted search", ...at, "--resume");
  await refused(2, "1000 bytes of memory are too little: this search needs", ...at, "--memory", "1K");
  await refused(1, "it does not exist", "--run", `${folder}/none`);
  await refused(
    1,
    "has 3 images; a batch needs at least 4",
    ...at,
    "--metric",
    "cka",
    "--data",
    "synthetic:3",
  );
  await refused(1, "images of 20 x 20 pixels", ...at, "--data", `tensor:${folder}/wide.safetensors`);
  await refused(2, "does not exist", ...at, "--data", `folder:${folder}/none`);

  const bytes = await Deno.readFile(run.lastCheckpointPath);
  await Deno.writeFile(run.lastCheckpointPath, bytes.subarray(0, bytes.length - 4));
  await refused(1, "is truncated", ...at);
  await Deno.copyFile(`${folder}/wide.safetensors`, run.lastCheckpointPath);
  await refused(1, "is not a checkpoint", ...at);
  await Deno.remove(run.lastCheckpointPath);
  await refused(1, "last.safetensors", ...at);
});

cliTest("an interrupted search says how to go on, and ends with the same ranking", async (folder) => {
  await createRun(`${folder}/run`);
  const args = ["--run", `${folder}/run`, "--data", "synthetic:800", "--images", "800", "--batch", "4"];
  args.push("--arch", "min", "--arch", "inner", "--arch", "max");
  const out = ["--out", `${folder}/interrupted`];
  const { code, err } = await interruptSearch(...args, ...out);
  assertEquals(code, 130, err);
  assertStringIncludes(err, "Continue with the same command and --resume");

  const again = await search(...args, ...out);
  assertEquals(again.status, 2);
  assertStringIncludes(again.err, "holds an interrupted search. Continue it with --resume");
  const other = await search(...args, ...out, "--resume", "--metric", "cka");
  assertEquals(other.status, 2);
  assertStringIncludes(other.err, 'has another metric ({"metric":"cosine"})');

  const resumed = await search(...args, ...out, "--resume");
  assertEquals(resumed.status, 0, resumed.err);
  assertEquals((await search(...args, "--out", `${folder}/whole`)).status, 0);
  const ranking = async (name: string) =>
    JSON.parse(await Deno.readTextFile(`${folder}/${name}/ranking.json`)).ranking;
  assertEquals(await ranking("interrupted"), await ranking("whole"));
  assertEquals((await search(...args, ...out, "--resume")).status, 2, "nothing is left to continue");
});

cliTest("images smaller than the network's are enlarged, and it is said", async (folder) => {
  await createRun(`${folder}/run`);
  await Deno.mkdir(`${folder}/photos`);
  for (let index = 0; index < 4; index++) {
    const background = { r: 60 * index, g: 90, b: 200 - 40 * index };
    const image = sharp({ create: { width: 10, height: 9, channels: 3, background } });
    await image.png().toFile(`${folder}/photos/${index}.png`);
  }
  const args = ["--run", `${folder}/run`, "--arch", "max", "--data", `folder:${folder}/photos`];
  const { status, err } = await search(...args);
  assertEquals(status, 0, err);
  assertStringIncludes(err, "has images of 10 x 9 pixels; features are compared on 16 x 16");
  assertStringIncludes(err, "has only 4 images; all of them are used");
});

cliTest(
  "features are compared at a head's output stride and image size, and by default at segmentation's",
  async (folder) => {
    const run = `${folder}/run`;
    // A 7x7 stem and strides of 2 make an output stride of 32.
    await createRun(run, [
      'space.stem={"kind":"7x7","widths":[8]}',
      "space.widths=[[8],[8],[8],[8,16]]",
      "space.depths=[[1],[1],[1],[1]]",
      "space.strides=[1,2,2,2]",
      "space.named={}",
      "data.imageSize=32",
    ]);
    const ranked = async (...more: string[]) => {
      const out = `${folder}/${more.join("")}`;
      const { status, out: printed, err } = await search(
        "--run",
        run,
        "--all",
        ...more,
        "--out",
        out,
        "--json",
      );
      assertEquals(status, 0, err + printed);
      const { outputStride, imageSize, ranking } = JSON.parse(await Deno.readTextFile(`${out}/ranking.json`));
      return {
        view: [outputStride, imageSize],
        largest: ranking.find(({ arch }: { arch: string }) => arch.includes("16")),
      };
    };
    const classification = await ranked("--images", "16");
    assertEquals(classification.view, [32, 32]);
    const segmentation = await ranked("--images", "16", "--task", "segmentation");
    assertEquals(segmentation.view, [16, 32]);
    // Dilated, the last stage has four times the positions.
    assert(segmentation.largest.macs > classification.largest.macs);
    const instances = await ranked("--images", "16", "--task", "instances", "--image-size", "64");
    assertEquals(instances.view, [32, 64]);
    assertEquals(Object.keys(instances.largest.scorePerStage), ["c2", "c3", "c4", "c5"]);
    assertEquals((await ranked("--images", "16", "--task", "segmentation", "--output-stride", "8")).view, [
      8,
      32,
    ]);
    const refused = await search("--run", run, "--all", "--output-stride", "64");
    assertEquals([refused.status, refused.err.includes("--output-stride is 64, but this network has 32")], [
      2,
      true,
    ]);
  },
);
