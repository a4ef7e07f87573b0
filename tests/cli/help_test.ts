/** The text of `--help`, on lines of any width. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { helpText } from "../../src/cli/help.ts";
import { asInvoked } from "../../src/cli/invocation.ts";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { searchCommand } from "../../src/cli/search.ts";

const description = {
  name: "count",
  summary: "Counts what is there, " + "and again, ".repeat(12) + "until nothing is left.",
  flags: {
    run: { type: "string", placeholder: "DIR", required: true, description: "Folder" },
    images: { type: "integer", default: 3, description: "Number of images " + "that are counted ".repeat(6) },
    metric: { type: "string", choices: ["cosine", "affinity", "similarity"], description: "Measure" },
  },
  examples: ["deno task count --run runs/photos --images 500 --metric affinity --out somewhere/else"],
} as const;

Deno.test("help keeps to the width, its columns aligned; long flags stand above their description", () => {
  for (const width of [40, 80, 120]) {
    const lines = helpText(description, width).split("\n");
    assertEquals(lines.filter((line) => line.length > width), [], `width ${width}`);
  }
  const text = helpText(description, 80);
  assertStringIncludes(text, "\nUsage: deno task count --run DIR [flags]\n");
  assertStringIncludes(text, "\n  --run DIR   Folder (required)\n  --images N  Number of images that");
  assertStringIncludes(text, "(default: 3)\n  --metric cosine|affinity|similarity\n              Measure\n");
  const columns = text.split("\n").filter((line) => /^ {5,}\S/.test(line)).map((line) => line.search(/\S/));
  assert(columns.length >= 2);
  assertEquals(new Set(columns), new Set([14]));
});

Deno.test("examples break before flags, as a shell takes them", () => {
  const text = helpText(description, 60);
  const example = text.slice(text.indexOf("Examples:\n") + 10, text.indexOf("\n\nExit status:"));
  assertEquals(
    example,
    "  deno task count --run runs/photos --images 500 \\\n    --metric affinity --out somewhere/else",
  );
  assertEquals(example.replace(/ \\\n +/g, " ").trim(), description.examples[0]);
});

Deno.test("the commands' own help fits 80 characters", () => {
  for (const { name, summary, flags, examples } of [pretrainCommand, searchCommand]) {
    const text = helpText({ name, summary, flags, examples }, 80);
    assertEquals(text.split("\n").filter((line) => line.length > 80), [], name);
  }
});

Deno.test("messages name the launcher that was called, or the task runner", () => {
  const message = 'Run "deno task extract --help", or deno task search.';
  assertEquals(asInvoked(message, undefined), message);
  assertEquals(asInvoked(message, "./scion"), 'Run "./scion extract --help", or ./scion search.');
});
