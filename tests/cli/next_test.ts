import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { embedCommand } from "../../src/cli/embed.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { nextAfterPretrain, nextAfterSearch } from "../../src/cli/next.ts";
import { searchCommand } from "../../src/cli/search.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

/** What is said, and the commands below it. */
function said(say: (next: (what: string, ...commands: readonly string[]) => void) => void): string[][] {
  const all: string[][] = [];
  say((what, ...commands) => void all.push([what, ...commands]));
  return all;
}

Deno.test("after pretraining, a small space is ranked whole, a large one by its groups", () => {
  assertEquals(said((next) => nextAfterPretrain(next, "my run", 36)), [
    ["Next, rank the 36 subnets:", "deno task search --run 'my run' --all"],
  ]);
  const [[, command]] = said((next) => nextAfterPretrain(next, "runs/large", 85_293));
  assertEquals(command, "deno task search --run runs/large");
});

const candidate = (arch: string, macs: number, score: number) => ({ arch, macs, params: 1, score });

Deno.test("after a search, the cheapest that makes most of the gain is recommended, and it is said why", () => {
  const candidates = [
    candidate("a", 1e6, 0.5),
    candidate("b", 2.04e6, 0.96),
    candidate("outdone", 3e6, 0.7),
    candidate("c", 4e6, 1),
  ];
  const [recommended, others] = said((next) =>
    nextAfterSearch(next, "runs/x", "runs/x/search/ranking.json", candidates)
  );
  assertStringIncludes(
    recommended[0],
    "b, the cheapest that makes 90 % of the gain in score, from 0.5000 to 1.0000 (2.04 M MACs, score 0.9600)",
  );
  assertStringIncludes(recommended[0], "not accuracy");
  assertEquals(recommended[1], "deno task extract --run runs/x --arch b --out b.safetensors --loader");
  assertStringIncludes(others[0], "all 3 that no cheaper one outdoes");
  assertEquals(others.slice(1), [
    "deno task extract --run runs/x --frontier --out models --loader",
    "deno task extract --run runs/x --best --macs ..2.1M --out best.onnx",
  ]);

  const [, budget] = said((next) =>
    nextAfterSearch(next, "runs/x", "runs/x/search/ranking.json", candidates.slice(0, 2), {
      latency: "..5ms",
    })
  );
  assertStringIncludes(budget[0], "the best of each of the 2 groups");
  assertEquals(budget.slice(1), [
    "deno task extract --run runs/x --best-per-group --latency ..5ms --out models --loader",
    "deno task extract --run runs/x --best --latency ..5ms --out best.onnx",
  ]);

  const [only, rest] = said((next) =>
    nextAfterSearch(next, "r", "else/ranking.json", [candidate("a", 900, 1)])
  );
  assertStringIncludes(only[0], "the cheapest of those ranked, and none scores higher");
  assertEquals(rest.slice(1), [
    "deno task extract --run r --from else/ranking.json --best --macs ..900 --out best.onnx",
  ]);
});

/** The command lines in what a command printed, as arguments. */
function commandsIn(out: string): string[][] {
  return out.split("\n").filter((line) => line.startsWith("  deno task ")).map((line) =>
    [...line.slice("  deno task ".length).matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) =>
      quoted ?? word
    )
  );
}

cliTest("what a command says to do next can be done, from the search to the features", async (folder) => {
  const run = `${folder}/my run`;
  await createRun(run);
  const small = ["--images", "8", "--batch", "8"];
  const search = await runInProcess(searchCommand, ["--run", run, "--all", ...small]);
  assertEquals(search.status, 0, search.err);
  const at = (args: string[]) =>
    args.map((word, index) => args[index - 1] === "--out" ? `${folder}/${word}` : word);
  const [one, frontier, best] = commandsIn(search.out).map(at);
  const extract = async ([name, ...args]: string[]) => {
    assertEquals(name, "extract");
    const { status, out, err } = await runInProcess(extractCommand, [...args, "--calibrate", "0"]);
    assertEquals(status, 0, err);
    return out;
  };
  await extract(frontier);
  assertStringIncludes(await extract(best), "onnxruntime.InferenceSession");
  const out = await extract(one);
  const loader = /python3 (\S+load_\w+\.py)/.exec(out)![1];
  assertStringIncludes(await Deno.readTextFile(loader), `ARCH = "${one[one.indexOf("--arch") + 1]}"`);
  const [[name, ...embed]] = commandsIn(out).map(at);
  assertEquals(name, "embed");
  const embedded = await runInProcess(embedCommand, embed);
  assertEquals(embedded.status, 0, embedded.err);
  assertStringIncludes(embedded.out, "It holds features [40, 16], labels [40], indices [40].");
  assertStringIncludes(embedded.out, `numpy.load("${folder}/features.npz")`);

  // Without a loader the command is said that writes one; for programs nothing is said.
  const args = ["--run", run, "--arch", "min", "--calibrate", "0", "--out", `${folder}/min.safetensors`];
  const plain = await runInProcess(extractCommand, args);
  assertStringIncludes(
    plain.out,
    `deno task extract --run '${run}' --arch min --out ${folder}/min.safetensors --loader`,
  );
  const json = await runInProcess(extractCommand, [...args, "--json"]);
  assertEquals(json.out.trim().split("\n").length, 1);
  assert(!`${json.out}${json.err}`.includes("Next"));
});
