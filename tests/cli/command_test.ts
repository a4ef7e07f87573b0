import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Context, defineCommand, executeCommand } from "../../src/cli/command.ts";
import { Logger } from "../../src/cli/logger.ts";
import { ConfigurationError, GpuError, UsageError } from "../../src/errors.ts";

const countFlags = { images: { type: "integer", default: 3, description: "Images" } } as const;

async function execute(run: (context: Context<typeof countFlags>) => { count: number }, ...args: string[]) {
  let out = "", err = "";
  const command = defineCommand({
    name: "count",
    summary: "Counts.",
    flags: countFlags,
    examples: ["deno task count"],
    run,
    format: ({ count }) => `${count} images`,
  });
  const logger = new Logger({ write: (text) => void (err += text), isTerminal: false, columns: () => 80 });
  const status = await executeCommand(command, args, { logger, print: (text) => void (out += text) });
  return { status, out, err };
}

function failWith(error: unknown) {
  return execute(() => {
    throw error;
  });
}

Deno.test("the result is formatted for people, or one JSON object; messages go elsewhere", async () => {
  const count = ({ flags, logger }: Context<typeof countFlags>) => {
    logger.info("counting");
    return { count: flags.images };
  };
  assertEquals(await execute(count), { status: 0, out: "3 images\n", err: "counting\n" });
  assertEquals(await execute(count, "--json", "--images=5"), {
    status: 0,
    out: '{"count":5}\n',
    err: "counting\n",
  });
});

Deno.test("--help wins over everything and runs nothing", async () => {
  for (const args of [["--help"], ["-h"], ["--images", "x", "--help"]]) {
    const { status, out, err } = await execute(() => {
      throw new Error("ran");
    }, ...args);
    assertEquals([status, err], [0, ""]);
    assertMatch(out, /Usage: deno task count \[flags\]/);
    assertMatch(out, /--json/);
  }
});

Deno.test("a user's mistake ends with 2 and one message, a failed run with 1, neither with a stack", async () => {
  assertEquals(await failWith(new UsageError("--a: no")), { status: 2, out: "", err: "error: --a: no\n" });
  assertEquals(await failWith(new ConfigurationError("b: no")), {
    status: 2,
    out: "",
    err: "error: b: no\n",
  });
  assertEquals(await failWith(new GpuError("lost")), { status: 1, out: "", err: "error: lost\n" });
  const unknown = await execute(() => ({ count: 0 }), "--imges", "3");
  assertEquals(unknown.status, 2);
  assertMatch(unknown.err, /^error: There is no flag --imges. Did you mean --images\?/);
});

Deno.test("what the system refuses is told without a stack", async () => {
  const { status, err } = await execute(() => ({ count: Deno.readTextFileSync("no/such/file").length }));
  assertEquals(status, 1);
  assertMatch(err, /no\/such\/file/);
  assertMatch(err, /Check that the path exists/);
  assert(!err.includes("    at "));
});

Deno.test("a fault of Scion itself asks for a report", async () => {
  const { status, err } = await failWith(new TypeError("x is undefined"));
  assertEquals(status, 1);
  assertMatch(err, /TypeError: x is undefined/);
  assertMatch(err, /SCION_DEBUG=1 deno task count/);
  assert(!err.includes("    at "));
});

Deno.test("a reader that has gone did not get the result: a failure", async () => {
  const { status, out, err } = await failWith(new Deno.errors.BrokenPipe("gone"));
  assertEquals([status, out], [1, ""]);
  assertMatch(err, /not read to its end/);
});

const interruptible = new URL("interruptible.ts", import.meta.url).pathname;

async function interrupt(pauses: number[]) {
  const process = new Deno.Command("deno", {
    args: ["run", "--no-prompt", "--allow-read", interruptible, "--json"],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let err = "";
  while (!err.includes("ready")) err += (await reader.read()).value;
  for (const pause of pauses) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    process.kill("SIGINT");
  }
  for (let part = await reader.read(); !part.done; part = await reader.read()) err += part.value;
  const out = await new Response(process.stdout).text();
  return { out, err, status: (await process.status).code };
}

Deno.test("the first interrupt is the command's to finish, also when it arrives twice", async () => {
  const { out, err, status } = await interrupt([0, 1]);
  assertEquals(status, 130);
  assertEquals(JSON.parse(out), {
    finished: true,
    error: { message: "The command was interrupted by SIGINT.", code: 130 },
  });
  assertMatch(err, /Finishing\. Interrupt again to stop at once\./);
});

Deno.test("a second interrupt ends the process at once", async () => {
  const { out, status } = await interrupt([0, 700]);
  assertEquals(status, 130);
  assertEquals(JSON.parse(out), { error: { message: "The command was interrupted by SIGINT.", code: 130 } });
});
