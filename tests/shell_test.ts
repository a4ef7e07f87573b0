import { assertEquals } from "@std/assert";
import { commandLine, shellWord } from "../src/shell.ts";

Deno.test("what a shell would take apart is quoted", () => {
  assertEquals(
    ["runs/demo", "a b", "it's", "$HOME", "", "größe"].map(shellWord),
    ["runs/demo", "'a b'", `'it'\\''s'`, "'$HOME'", "''", "'größe'"],
  );
});

Deno.test("a command line has the flags that are given; a value that begins with a dash is tied to its flag", () => {
  assertEquals(
    commandLine("extract", {
      ...{ run: "my run", arch: ["min", "max"], best: false, loader: true, from: undefined, top: 3 },
      out: "-x",
    }),
    "deno task extract --run 'my run' --arch min --arch max --loader --top 3 --out=-x",
  );
});
