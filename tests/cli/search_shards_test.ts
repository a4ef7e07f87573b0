/** `deno task search --shard` and `--merge`: one ranking from several machines. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { searchCommand } from "../../src/cli/search.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { readShard, writeShard } from "../../src/cli/search_shard_file.ts";
import { writeSafetensors } from "../../src/store/safetensors.ts";
import { randomValues } from "../helpers.ts";
import { basicSpace } from "../extract/encoders.ts";
import { interruptSearch } from "./interrupt_search.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

const { size } = new SearchSpace(basicSpace);
const search = (...args: string[]) => runInProcess(searchCommand, args);
const small = ["--images", "16", "--batch", "8"];

/** The files of a search, without its time, which is the one thing that differs. */
async function filesOf(folder: string) {
  const [json, csv, html] = await Promise.all(
    ["ranking.json", "ranking.csv", "report.html"].map((name) => Deno.readTextFile(`${folder}/${name}`)),
  );
  const { seconds } = JSON.parse(json);
  assertEquals(typeof seconds, "number");
  return {
    json: json.replace(/\n "seconds": [\d.]+,/, ""),
    csv,
    html: html.replace(/(<dt>Time<\/dt>\s*<dd>)[^<]*/g, "$1"),
  };
}

/** Runs all shards of a search. */
async function searchShards(count: number, ...args: string[]): Promise<void> {
  for (let index = 0; index < count; index++) {
    const { status, err } = await search(...args, "--shard", `${index}/${count}`);
    assertEquals(status, 0, err);
  }
}

/** The arguments of a command line that a message names. */
function commandIn(message: string): string[] {
  return message.split("\n").find((line) => line.startsWith("  deno task search "))!.trim().split(" ").slice(
    3,
  );
}

cliTest(
  "three shards and a merge leave the files of a search in one piece, but for its time",
  async (folder) => {
    const run = `${folder}/run`;
    await createRun(run);
    const args = ["--run", run, "--all", ...small, "--task", "detection", "--group-size", "0.2M"];
    const whole = await search(...args, "--prefer", "params", "--json");
    assertEquals(whole.status, 0, whole.err);
    const expected = await filesOf(`${run}/search`);
    await Deno.remove(`${run}/search`, { recursive: true });

    const shards = [0, 1, 2].map((index) => `${run}/search-shard-${index}-of-3`);
    for (const [index, out] of shards.entries()) {
      const one = await search(...args, "--shard", `${index}/3`, "--json");
      assertEquals(one.status, 0, one.err);
      const { evaluated, seconds, blockEvaluations, ...rest } = JSON.parse(one.out);
      assertEquals(typeof seconds, "number");
      const shard = { index, count: 3, file: `${out}/shard.safetensors` };
      const common = { metric: "affinity", task: "detection", images: 16 };
      assertEquals(rest, { ...common, groups: [], ranking: null, shard });
      assert(evaluated > 0 && evaluated < size && blockEvaluations.done > 0);
      assertEquals((await Array.fromAsync(Deno.readDir(out))).map(({ name }) => name), ["shard.safetensors"]);
    }
    // In any order, and without the run's images.
    const merged = await search(
      "--merge",
      shards[2],
      shards[0],
      "--merge",
      shards[1],
      "--prefer",
      "params",
      "--json",
    );
    assertEquals(merged.status, 0, merged.err);
    assertEquals(await filesOf(`${run}/search`), expected);
    const { seconds, shards: parts, ...result } = JSON.parse(merged.out);
    const { seconds: _, ...alone } = JSON.parse(whole.out);
    assertEquals(result, alone);
    assertEquals(parts.map(({ folder }: { folder: string }) => folder), shards);
    const sum = parts.reduce((sum: number, part: { seconds: number }) => sum + part.seconds, 0);
    assert(Math.abs(seconds - sum) < 0.006, `${seconds}`);
    const done = parts.reduce(
      (sum: number, { blockEvaluations }: typeof alone) => sum + blockEvaluations.done,
      0,
    );
    assert(done > alone.blockEvaluations.done && done < 1.5 * alone.blockEvaluations.done);
    await Deno.rename(run, `${folder}/moved`);
    const moved = shards.map((out) => out.replace(run, `${folder}/moved`));
    const homeless = await search("--merge", ...moved);
    assertEquals(homeless.status, 2);
    assertStringIncludes(homeless.err, `The shards searched the run ${run}, which is not there.`);
    const readable = await search(
      "--merge",
      ...moved,
      "--run",
      `${folder}/moved`,
      "--out",
      `${folder}/other`,
    );
    assertStringIncludes(readable.out, "merged from 3 shards: that time is their sum");
    assertStringIncludes(readable.out, `--from ${folder}/other/ranking.json`);
  },
);

cliTest(
  "a shard that is missing, interrupted or damaged is named, with the command that mends it",
  async (folder) => {
    const run = `${folder}/run`;
    await createRun(run);
    const args = ["--run", run, "--arch", "min", "--arch", "max", "--arch", "inner", ...small];
    const folders = [0, 1, 2].map((index) => `${run}/search-shard-${index}-of-3`);
    const [first, second, third] = folders;
    const nothing = await search("--merge", ...folders);
    assertEquals([nothing.status, nothing.out], [1, ""]);
    assertStringIncludes(
      nothing.err,
      `None of these folders holds a shard that is done: ${first} has no shard.`,
    );

    await searchShards(3, ...args);
    const merged = () => search("--merge", ...folders, "--json");
    assertEquals((await merged()).status, 0);
    const ranking = await Deno.readTextFile(`${run}/search/ranking.csv`);
    const mended = async (message: string) => {
      const { status, err, out } = await merged();
      assertEquals([status, JSON.parse(out).error.code], [1, 1]);
      assertStringIncludes(err, "1 of 3 shards is missing. Search what is missing, then merge again:");
      assertStringIncludes(err, message);
      const damaged = /; remove (\S+)\):/.exec(err);
      if (damaged) await Deno.remove(damaged[1]);
      const again = await search(...commandIn(err));
      assertEquals(again.status, 0, again.err);
      assertEquals((await merged()).status, 0);
      assertEquals(await Deno.readTextFile(`${run}/search/ranking.csv`), ranking);
    };
    await Deno.remove(second, { recursive: true });
    await mended(
      `shard 1/3 (${second} has no shard.safetensors):\n  deno task search --run ${run} --images 16`,
    );
    const path = `${third}/shard.safetensors`;
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.map((byte, at) => at === bytes.length - 9 ? byte ^ 1 : byte));
    await mended(`shard 2/3 (${third} has a damaged shard (`);
    await Deno.writeFile(path, bytes.subarray(0, 100));
    await mended(`shard 2/3 (${third} has a damaged shard (`);

    // Where the folders have other names, any takes the missing shard; and where there is none, its own.
    await Deno.rename(third, `${folder}/elsewhere`);
    folders[2] = `${folder}/elsewhere`;
    await Deno.remove(`${folder}/elsewhere/shard.safetensors`);
    await mended("--shard 2/3 --out " + folders[2]);
    const fewer = await search("--merge", first, second);
    assertStringIncludes(fewer.err, "shard 2/3 (in none of the folders):");
    assertEquals(commandIn(fewer.err).slice(-2), ["--shard", "2/3"]);
    const more = await search("--merge", ...folders, `${folder}/nowhere`);
    assertEquals(more.status, 2);
    assertStringIncludes(more.err, `but also ${folder}/nowhere has no shard.safetensors. Leave it out.`);
  },
);

cliTest("times are measured after a merge, on a device like the shards', without images", async (folder) => {
  const run = `${folder}/run`;
  const { lastCheckpointPath } = await createRun(run);
  const images = `${folder}/images.safetensors`;
  const data = randomValues(16 * 3 * 256, 1);
  await writeSafetensors(images, [["images", { dtype: "F32", shape: [16, 3, 16, 16], data }]]);
  await searchShards(
    2,
    "--run",
    run,
    "--all",
    ...small,
    "--data",
    `tensor:${images}`,
    "--group-size",
    "0.5M",
  );
  await Deno.remove(images);
  const merge = ["--merge", ...[0, 1].map((index) => `${run}/search-shard-${index}-of-2`)];
  const merged = await search(...merge, "--latency", "..60s", "--measure-best", "1", "--json");
  assertEquals(merged.status, 0, merged.err);
  const { latencyBudget, ranking, groups } = JSON.parse(
    await Deno.readTextFile(`${run}/search/ranking.json`),
  );
  assertEquals(latencyBudget, { to: 60_000 });
  const timed = ranking.filter(({ latency }: { latency?: unknown }) => latency);
  const highest = groups.map((group: { highest: string }) => group.highest);
  assertEquals(timed.map(({ arch }: { arch: string }) => arch), highest);
  for (const { latency, withinBudget } of timed) {
    assertEquals([latency.map(({ batch }: { batch: number }) => batch), withinBudget], [[1, 8], true]);
    assert(latency.every(({ msPerImage }: { msPerImage: number }) => msPerImage > 0));
  }
  const none = await search(...merge, "--latency", "..1us", "--measure-best", "1");
  assertEquals(none.status, 2);
  assertStringIncludes(none.err, "The flags are --latency and --measure-best.");

  // Shards of another device, and a run that went on.
  for (const name of merge.slice(1)) {
    const { shard, settings, candidates, images, sums, imageSums, description, network, ...rest } =
      await readShard(name);
    const record = {
      ...rest,
      space: network.space.definition,
      description: { ...description, device: "other" },
    };
    await writeShard(name, { shard, settings, candidates, images, sums, imageSums }, record);
  }
  assertEquals((await search(...merge)).status, 0);
  const other = await search(...merge, "--measure");
  assertEquals(other.status, 2);
  assertMatch(other.err, /Times would be those of .*, but the shards were searched on other\./);
  await createRun(`${folder}/later`, ["training.seed=4"]);
  await Deno.copyFile(`${folder}/later/checkpoints/last.safetensors`, lastCheckpointPath);
  const late = await search(...merge, "--measure");
  assertEquals(late.status, 2);
  assertStringIncludes(late.err, `${run} has another checkpoint than the one that`);
  assertEquals((await search(...merge)).status, 0, "times alone need it");
});

cliTest(
  "an interrupted shard is named by a merge, goes on, and ends as if nothing had been",
  async (folder) => {
    const run = `${folder}/run`;
    await createRun(run);
    const args = ["--run", run, "--data", "synthetic:240", "--images", "240", "--batch", "4"];
    args.push("--arch", "min", "--arch", "inner", "--arch", "max");
    await searchShards(2, ...args);
    const folders = [0, 1].map((index) => `${run}/search-shard-${index}-of-2`);
    const merged = () => search("--merge", ...folders);
    assertEquals((await merged()).status, 0);
    const expected = await filesOf(`${run}/search`);
    await Deno.remove(`${folders[1]}/shard.safetensors`);
    const { code, err } = await interruptSearch(...args, "--shard", "1/2");
    assertEquals(code, 130, err);
    assertStringIncludes(err, "Continue with the same command and --resume");
    const other = await search(...args, "--shard", "0/2", "--out", folders[1], "--resume");
    assertEquals(other.status, 2);
    assertStringIncludes(other.err, "has another shard (1/2) than this one (0/2)");
    const missing = await merged();
    assertEquals(missing.status, 1);
    assertStringIncludes(missing.err, `shard 1/2 (${folders[1]} was interrupted):`);
    assertEquals(commandIn(missing.err).slice(-3), ["--shard", "1/2", "--resume"]);
    assertEquals((await search(...commandIn(missing.err))).status, 0);
    assertEquals((await merged()).status, 0);
    assertEquals(await filesOf(`${run}/search`), expected);
  },
);

cliTest(
  "shards of different searches are not merged, and flags that do not go together are refused",
  async (folder) => {
    const run = `${folder}/run`;
    await createRun(run);
    await createRun(`${folder}/other`, ["training.seed=4"]);
    const refused = async (expected: number, message: string, ...args: string[]) => {
      const { status, out, err } = await search(...args);
      assertStringIncludes(err, message);
      assertEquals([status, out], [expected, ""], err);
    };
    const args = ["--run", run, "--arch", "min", "--arch", "max", ...small];
    const [one, two] = [`${run}/search-shard-0-of-2`, `${run}/search-shard-1-of-2`];
    await searchShards(2, ...args);
    const shard = async (out: string, ...more: string[]) => {
      const { status, err } = await search(...args, "--shard", "1/2", "--out", `${folder}/${out}`, ...more);
      assertEquals(status, 0, err);
      return `${folder}/${out}`;
    };
    const fewer = await search(
      ...args.slice(0, -3),
      "12",
      "--batch",
      "8",
      "--shard",
      "1/2",
      "--out",
      `${folder}/fewer`,
    );
    assertEquals(fewer.status, 0, fewer.err);
    const different = "The shards are of different searches: ";
    await refused(
      2,
      `${different}${folder}/fewer has another images (12, `,
      "--merge",
      one,
      `${folder}/fewer`,
    );
    const seeded = await shard("seeded", "--seed", "9");
    await refused(2, `${seeded} has another seed (9) than ${one} (3)`, "--merge", one, seeded);
    const grouped = await shard("grouped", "--group-size", "0.3M");
    await refused(2, `${grouped} has another group size (300000)`, "--merge", one, grouped);
    const foreign = await search(
      "--run",
      `${folder}/other`,
      ...args.slice(2),
      "--shard",
      "1/2",
      "--seed",
      "3",
    );
    assertEquals(foreign.status, 0, foreign.err);
    const other = `${folder}/other/search-shard-1-of-2`;
    await refused(2, `${other} has another checkpoint`, "--merge", one, other);
    await refused(2, `both hold shard 1/2`, "--merge", one, two, two);
    await refused(
      2,
      "has another checkpoint than the one that",
      "--merge",
      one,
      two,
      "--run",
      `${folder}/other`,
    );
    await Deno.writeTextFile(`${folder}/ranking.json`, "{}");
    const taken = ["--merge", one, two, "--out", folder];
    await refused(2, "holds a ranking.json that is not of a search", ...taken);

    for (const wrong of ["4/4", "1", "1/0", "-1/2", "a/b", "1/2/3", "0/10001"]) {
      await refused(
        2,
        `--shard cannot be "${wrong}". Allowed: I/N with N from 1 to 10000`,
        ...args,
        `--shard=${wrong}`,
      );
    }
    const sharded = [...args, "--shard", "0/2"];
    for (
      const flags of [["--prefer", "macs"], ["--latency", "..5ms"], ["--measure"], ["--measure-best", "3"]]
    ) {
      await refused(2, `${flags[0]} goes with --merge and not with --shard`, ...sharded, ...flags);
    }
    const merge = ["--merge", one, two];
    await refused(2, "--images goes with a search and not with --merge", ...merge, "--images", "12");
    await refused(2, "--shard goes with a search and not with --merge", ...merge, "--shard", "0/2");
    await refused(2, "Allowed beside it: --run, --out, --prefer, --latency", ...merge, "--resume");
    await refused(2, "--merge needs a value", "--merge");
  },
);

cliTest("a dry run says the work of each shard; one without candidates has nothing to do", async (folder) => {
  const plan = ["--dry-run", "--all", "--config", "configs/demo.json", "--shard", "1/4"];
  const { status, out, err } = await search(...plan, "--json");
  assertEquals(status, 0, err);
  const { shards: { index, count, parts }, macsPerImage } = JSON.parse(out);
  assertEquals([index, count, parts.length], [1, 4, 4]);
  const macs: number[] = parts.map((part: { macsPerImage: number }) => part.macsPerImage);
  const sum = macs.reduce((a, b) => a + b);
  assert(Math.max(...macs) < 1.1 * macsPerImage.tree / 4 && sum < 1.05 * macsPerImage.tree);
  assertEquals(parts.reduce((sum: number, part: { candidates: number }) => sum + part.candidates, 0), 108);
  const readable = (await search(...plan)).out;
  assertMatch(readable, /\n1\/4 .* this one\n2\/4 /);
  assertStringIncludes(
    readable,
    `The largest shard has ${(4 * Math.max(...macs) / macsPerImage.tree).toFixed(3)} of`,
  );

  const run = `${folder}/run`;
  await createRun(run);
  const args = ["--run", run, "--arch", "min", "--arch", "max", ...small];
  await searchShards(3, ...args);
  const last = await search(...args, "--shard", "2/3", "--json");
  assertEquals([JSON.parse(last.out).evaluated, JSON.parse(last.out).blockEvaluations], [0, {
    done: 0,
    saved: 0,
  }]);
  assertEquals((await search(...args)).status, 0);
  const expected = await filesOf(`${run}/search`);
  const folders = [0, 1, 2].map((index) => `${run}/search-shard-${index}-of-3`);
  assertEquals((await search("--merge", ...folders)).status, 0);
  assertEquals(await filesOf(`${run}/search`), expected);
});
