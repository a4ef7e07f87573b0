/** Exit statuses and what `--json` prints, for ends of all kinds. */
import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { withFolder } from "../store/with_folder.ts";

const root = new URL("../../", import.meta.url).pathname;
const commands = ["pretrain", "search", "extract", "embed", "space", "tune", "doctor"];
const permissions = ["--no-prompt", "--allow-read", "--allow-write", "--allow-ffi", "--allow-env"];

function script(name: string): string {
  return /\//.test(name) ? `${root}${name}` : `${root}src/cli/${name}.ts`;
}

function deno(name: string, ...args: string[]) {
  return new Deno.Command("deno", {
    args: ["run", ...permissions, script(name), ...args],
    cwd: root,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function run(name: string, ...args: string[]) {
  const { code, stdout, stderr } = await deno(name, ...args).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

/** Runs with readers that are gone before a word was written; returns the status. */
async function unread(closed: readonly ("stdout" | "stderr")[], name: string, ...args: string[]) {
  const process = deno(name, ...args).spawn();
  const streams = ["stdout", "stderr"] as const;
  await Promise.all(
    streams.filter((stream) => closed.includes(stream)).map((stream) => process[stream].cancel()),
  );
  const rest = streams.filter((stream) => !closed.includes(stream));
  await Promise.all(rest.map((stream) => new Response(process[stream]).text()));
  return (await process.status).code;
}

Deno.test("--help states the exit status", async () => {
  for (const { code, out } of await Promise.all(commands.map((name) => run(name, "--help")))) {
    assertEquals(code, 0);
    assertMatch(out, /Exit status:\n {2}0 done; 1 failed while running; 2 wrong flags or configuration/);
  }
});

Deno.test("with --json wrong usage, too, is one object on stdout", async () => {
  const cases: [string, string[]][] = [
    ...commands.map((name): [string, string[]] => [name, ["--json", "--no-such-flag"]]),
    ["pretrain", ["--set", "training.batch=0", "--json"]],
    ["pretrain", ["--json", "--epochs"]],
    ["space", ["--json", "--config", "no/such/file.json"]],
    ["embed", ["--json"]],
  ];
  const ends = await Promise.all(cases.map(([name, args]) => run(name, ...args)));
  ends.forEach(({ code, out, err }, index) => {
    const what = cases[index].join(" ");
    assertEquals(code, 2, what);
    const { error, ...rest } = JSON.parse(out);
    assertEquals([rest, Object.keys(error), error.code], [{}, ["message", "code"], 2], what);
    assert(err.includes(error.message), what);
  });
});

Deno.test("with --json what fails while running is one object with code 1", async () => {
  const { code, out } = await run(
    "extract",
    "--json",
    "--run",
    "/no/such/run",
    "--arch",
    "max",
    "--out",
    "x.onnx",
  );
  assertEquals(code, JSON.parse(out).error.code);
  const script = "tests/faults/failing_command.ts";
  for (
    const [kind, message] of [["worker", /in a worker/], ["timer", /in a timer/], [
      "promise",
      /in a promise/,
    ]] as const
  ) {
    const end = await run(script, "--json", "--kind", kind);
    assertEquals(end.code, 1, end.err);
    assertEquals(JSON.parse(end.out).error.code, 1);
    assertMatch(JSON.parse(end.out).error.message, message);
    // Deno itself prints what a worker did not catch, before anyone is told.
    if (kind === "worker") continue;
    assertEquals(end.err.match(/error: /g)?.length, 1, end.err);
    assert(!end.err.includes("    at "), end.err);
  }
});

Deno.test("a result that nobody reads is a failure", async () => {
  assertEquals(await unread([], "space"), 0);
  assertEquals(await unread(["stdout"], "space"), 1);
  assertEquals(await unread(["stdout"], "space", "--json"), 1);
  assertEquals(await unread(["stdout", "stderr"], "space"), 1);
  assertEquals(await unread(["stdout"], "space", "--help"), 1);
});

Deno.test("messages that nobody reads stop nothing", async () => {
  assertEquals(await unread(["stderr"], "tests/faults/failing_command.ts", "--kind", "talk"), 0);
});

const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

async function interrupted(signal: keyof typeof signals, ...args: string[]) {
  const process = deno("tests/cli/interruptible.ts", ...args).spawn();
  const reader = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let err = "";
  while (!err.includes("ready")) err += (await reader.read()).value;
  const start = performance.now();
  process.kill(signal);
  for (let part = await reader.read(); !part.done; part = await reader.read()) err += part.value;
  const out = await new Response(process.stdout).text();
  return { code: (await process.status).code, out, err, seconds: (performance.now() - start) / 1000 };
}

for (const [signal, status] of Object.entries(signals) as [keyof typeof signals, number][]) {
  Deno.test(`${signal} is the command's to finish, and its status is ${status}`, async () => {
    const { code, out } = await interrupted(signal, "--json");
    assertEquals(code, status);
    const { finished, error } = JSON.parse(out);
    assertEquals([finished, error.code], [true, status]);
    assertEquals((await interrupted(signal)).code, status);
  });
}

Deno.test("a command with nothing to save is not waited for", async () => {
  for (const flags of [["--json"], []]) {
    const { code, out, seconds } = await interrupted("SIGINT", "--hang", ...flags);
    assertEquals(code, 130);
    if (flags.length > 0) assertEquals(JSON.parse(out).error.code, 130);
    assertLess(seconds, 2);
  }
});

Deno.test("a second interrupt ends even a command that is busy", async () => {
  const process = deno("tests/cli/interruptible.ts", "--busy").spawn();
  const reader = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let err = "";
  while (!err.includes("ready")) err += (await reader.read()).value;
  process.kill("SIGINT");
  while (!err.includes("busy")) err += (await reader.read()).value;
  const start = performance.now();
  process.kill("SIGINT");
  while (!(await reader.read()).done);
  await process.stdout.cancel();
  assertEquals((await process.status).code, 130);
  assertLess((performance.now() - start) / 1000, 2);
});

Deno.test("a run that was not interrupted leaves its folder as it says", () =>
  withFolder(async (folder) => {
    const { code, out } = await run("pretrain", "--json", "--dry-run", "--out", `${folder}/run`);
    assertEquals(code, 0);
    const plan = JSON.parse(out);
    assertEquals([plan.steps, plan.epochs], [640, 20]);
    assert(plan.memory.device.total > plan.memory.device.weights);
    assertEquals([...Deno.readDirSync(folder)], []);
  }));
