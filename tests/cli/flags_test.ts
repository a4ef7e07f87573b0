import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../src/errors.ts";
import { flagName, parseFlags } from "../../src/cli/flags.ts";
import { helpText } from "../../src/cli/help.ts";

const flags = {
  run: { type: "string", placeholder: "DIR", required: true, description: "Run folder" },
  metric: { type: "string", choices: ["cosine", "cka"], default: "cosine", description: "Similarity" },
  images: { type: "integer", minimum: 1, maximum: 100, default: 10, description: "Images" },
  rate: { type: "number", description: "Rate" },
  groupSize: { type: "quantity", description: "MACs per group" },
  set: { type: "strings", description: "Fields" },
  resume: { type: "boolean", description: "Go on" },
} as const;

const parse = (...args: string[]) => parseFlags(flags, ["--run", "here", ...args]);

Deno.test("defaults and absent flags", () => {
  assertEquals(parse(), { run: "here", metric: "cosine", images: 10, set: [], resume: false });
});

Deno.test("values after a space or an equals sign, repeated and boolean flags", () => {
  assertEquals(
    parse("--metric=cka", "--images", "7", "--rate", "-1.5e-3", "--set", "a=1", "--set=b=2", "--resume"),
    { run: "here", metric: "cka", images: 7, rate: -0.0015, set: ["a=1", "b=2"], resume: true },
  );
});

Deno.test("a list takes the words up to the next flag", () => {
  const lists = { ...flags, merge: { type: "strings", list: true, description: "Folders" } } as const;
  const merged = (...args: string[]) => parseFlags(lists, ["--run", "here", ...args]).merge;
  assertEquals(merged(), []);
  assertEquals(merged("--merge", "a", "b c", "--resume", "--merge=d", "e"), ["a", "b c", "d", "e"]);
  assertThrows(() => merged("--merge", "--resume"), UsageError, "--merge needs a value");
  assertThrows(() => merged("--merge", "a", "-x"), UsageError, "There is no flag -x.");
  assertThrows(() => merged("--set", "a=1", "b=2"), UsageError, '"b=2" is not expected here');
});

Deno.test("quantities", () => {
  const sizes = { "1e9": 1e9, "1G": 1e9, "500M": 5e8, "2.5k": 2500, "7": 7, "1.5T": 1.5e12 };
  for (const [text, value] of Object.entries(sizes)) {
    assertEquals(parse("--group-size", text).groupSize, value);
  }
});

Deno.test("what is wrong is named, with what is allowed", () => {
  const cases: [string[], string][] = [
    [["--imagse", "7"], "There is no flag --imagse. Did you mean --images? Allowed: --run, --metric,"],
    [["--zzz"], "There is no flag --zzz. Allowed: --run"],
    [["-x"], "There is no flag -x."],
    [["more"], '"more" is not expected here: every input has a flag'],
    [["--images"], "--images needs a value: a whole number (at least 1, at most 100)."],
    [["--images", "--resume"], "--images needs a value"],
    [["--images", "0"], '--images cannot be "0". Allowed: a whole number (at least 1, at most 100).'],
    [["--images", "1.5"], '--images cannot be "1.5"'],
    [["--images", "0x10"], '--images cannot be "0x10"'],
    [["--images="], '--images cannot be ""'],
    [["--images", "1", "--images", "2"], "--images is given twice"],
    [["--rate", "fast"], '--rate cannot be "fast". Allowed: a number.'],
    [["--rate", "NaN"], '--rate cannot be "NaN"'],
    [["--metric", "cosin"], '--metric cannot be "cosin". Allowed: cosine, cka.'],
    [
      ["--group-size", "0"],
      '--group-size cannot be "0". Allowed: a number above 0, such as 1e9, 500M or 1G.',
    ],
    [["--group-size", "1Q"], '--group-size cannot be "1Q"'],
    [["--group-size", "-1G"], '--group-size cannot be "-1G"'],
    [["--resume=yes"], '--resume takes no value; "yes" was given'],
  ];
  for (const [args, message] of cases) assertThrows(() => parse(...args), UsageError, message);
  assertThrows(() => parseFlags(flags, []), UsageError, "--run DIR is missing: Run folder.");
});

Deno.test("names in camel case become flags with dashes", () => {
  assertEquals(flagName("groupSize"), "--group-size");
  assertEquals(flagName("set"), "--set");
});

Deno.test("help aligns flags and shows defaults, choices, and what is required", () => {
  const text = helpText(
    { name: "search", summary: "Ranks.", flags, examples: ["deno task search --run r"] },
    100,
  );
  assertEquals(
    text,
    `Ranks.

Usage: deno task search --run DIR [flags]

Flags:
  --run DIR            Run folder (required)
  --metric cosine|cka  Similarity (default: cosine)
  --images N           Images (default: 10)
  --rate NUMBER        Rate
  --group-size NUMBER  MACs per group
  --set TEXT           Fields (may be repeated)
  --resume             Go on

Examples:
  deno task search --run r

Exit status:
  0 done; 1 failed while running; 2 wrong flags or configuration; 130 interrupted by Ctrl-C, 143 by
  SIGTERM, 129 by SIGHUP. With --json a failure, too, is one object on stdout: {"error": {"message",
  "code"}}, the code being the exit status.
`,
  );
});
