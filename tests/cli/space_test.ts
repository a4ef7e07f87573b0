import { assert, assertEquals, assertMatch } from "@std/assert";

const root = new URL("../../", import.meta.url).pathname;

async function task(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: ["task", "--quiet", ...args],
    cwd: root,
  })
    .output();
  const decoder = new TextDecoder();
  return { status: code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("space --json prints the published numbers and nothing else", async () => {
  const { status, out } = await task("space", "--config", "configs/imagenet-ar50to101.json", "--json");
  assertEquals(status, 0);
  const result = JSON.parse(out);
  assertEquals(result.architectures, 85_293);
  assertEquals(result.min, { arch: "32-48.96.192.384-2.2.5.2", macs: 1_665_441_792, params: 9_733_024 });
  assertEquals(result.max, { arch: "64-80.160.320.640-4.6.29.4", macs: 15_512_010_752, params: 84_784_576 });
  assertEquals(Object.keys(result.named), ["r50", "r77", "r101"]);
  assertEquals(result.named.r50, {
    arch: "64-64.128.256.512-3.4.6.3",
    macs: 4_087_136_256,
    params: 23_508_032,
  });
  assertEquals(result.groups.length, 15);
  assertEquals(result.groups[0], { from: 1e9, to: 2e9, count: 34 });
});

Deno.test("space for people, with the demo's configuration, another image and group size, and --set", async () => {
  const { status, out, err } = await task(
    "space",
    "--image-size=64",
    "--group-size",
    "5M",
    "--set",
    "space.depths.3=[1]",
  );
  assertEquals([status, err], [0, ""]);
  assertMatch(out, /^108 architectures$/m);
  assertMatch(out, /^max +8-8\.16\.32\.64-1\.1\.1\.1 +\d+\.\d{3} M +\d+\.\d{3} k$/m);
  assertMatch(out, /group of 5 M MACs/);
  assertMatch(out, /image of 64 x 64/);
});

Deno.test("mistakes end with 2, one message on stderr, and on stdout nothing but what --json asks for", async () => {
  const cases: [string[], RegExp][] = [
    [["--cofnig", "x"], /^error: There is no flag --cofnig\. Did you mean --config\?/],
    [["--image-size", "big"], /^error: --image-size cannot be "big"\. Allowed: a whole number/],
    [["--config", "nowhere.json"], /^error: There is no configuration file nowhere\.json/],
    [["--config", "deno.json"], /deno\.json: name is not a configuration field\./],
    [["--set", "space.dpeths=[]"], /Did you mean space\.depths\?/],
    [["--json", "--set", "moco.queue=1"], /moco\.queue is 1, less than training\.batch/],
  ];
  const results = await Promise.all(cases.map(([args]) => task("space", ...args)));
  results.forEach(({ status, out, err }, index) => {
    assertEquals(status, 2, cases[index][0].join(" "));
    if (cases[index][0].includes("--json")) assertEquals(JSON.parse(out).error.code, 2);
    else assertEquals(out, "");
    assertMatch(err, cases[index][1]);
    assert(!err.includes("    at "), err);
  });
});

Deno.test("tasks have just the permissions that they need", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  // What compares with other libraries runs those, which ask for more.
  const comparisons = ["bench:peers", "interop"];
  for (const [name, { command }] of Object.entries<{ command: string }>(tasks)) {
    if (comparisons.includes(name)) continue;
    assert(!/--allow-all|--allow-sys(?!=systemMemoryInfo\b)|-A\b/.test(command), name);
    // A browser on this machine is spoken to, and nothing else.
    const net = name === "test:pages" ? /--allow-net(?!=127\.0\.0\.1 )/ : /--allow-net/;
    assert(!net.test(command), name);
    // Where a command's --out is, no task can know, nor where the system has temporary folders.
    const writesAnywhere = [
      "pretrain",
      "search",
      "compare",
      "correlate",
      "embed",
      "evaluate",
      "finetune",
      "extract",
      "bench:distillation",
      "test",
      "test:cluster",
      "test:faults",
      "test:full-size",
      "test:pages",
      "bench:distillation",
    ].includes(name);
    if (!writesAnywhere) assert(!/--allow-write(?!=)/.test(command), name);
    assert(name.startsWith("test") || !command.includes("--allow-run"), name);
    assert(!/--allow-env(?!=)/.test(command), name);
    // The image decoder alone is native code.
    assert(!/--allow-ffi(?!=node_modules\b)/.test(command), name);
    assert(command.includes("--no-prompt"), name);
  }
  assert(!tasks.space.command.includes("--allow-ffi"));
  assert(!tasks.space.command.includes("--allow-write"));
});
