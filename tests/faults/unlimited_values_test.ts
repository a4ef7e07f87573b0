/** Values without a sensible limit, from files and from the command line: refused at once, with the field. */
import { assert, assertMatch, assertThrows } from "@std/assert";
import { parseJson } from "../../src/config/json.ts";
import { parseConfig } from "../../src/config/load.ts";
import { parseSet } from "../../src/config/overrides.ts";
import { parseDataSpec } from "../../src/data/spec.ts";
import { spaceCommand } from "../../src/cli/space.ts";
import { ConfigurationError, ScionError, UsageError } from "../../src/errors.ts";
import { runInProcess } from "../cli/run_command.ts";
import { smallConfig } from "../pretrain/small_run.ts";

function refusal(set: string): string {
  const started = performance.now();
  const error = assertThrows(() => parseConfig(smallConfig, "test", [parseSet(set)]), ScionError);
  assert(performance.now() - started < 1000, "it took long");
  assert(error.message.length < 2000, "the message is long");
  return error.message;
}

const tooLarge = [
  ["space.depths=[[1000000000],[1],[1],[1]]", "space.depths[0][0]"],
  ["space.widths=[[1e9],[8],[8],[8]]", "space.widths[0][0]"],
  ["space.stem.widths=[1e7]", "space.stem.widths[0]"],
  [`space.depths=${JSON.stringify(Array(5000).fill([1]))}`, "space.depths"],
  ["training.batch=1e9", "training.batch"],
  ["training.epochs=1e15", "training.epochs"],
  ["training.logEvery=1e15", "training.logEvery"],
  ["moco.queue=1e12", "moco.queue"],
  ["moco.batchnormGroups=1e9", "moco.batchnormGroups"],
  ["head.hidden=1e9", "head.hidden"],
  ["head.dimension=1e9", "head.dimension"],
  ["sandwich.random=1e9", "sandwich.random"],
  ["data.imageSize=1e6", "data.imageSize"],
  ["data.cacheMegabytes=1e12", "data.cacheMegabytes"],
  ["data.heldOut=1e12", "data.heldOut"],
  ["data.mean=[1e300,0,0]", "data.mean[0]"],
  ["data.std=[1e-300,1,1]", "data.std[0]"],
  ["optimizer.learningRate=1e300", "optimizer.learningRate"],
  ["knn.bank=1e12", "knn.bank"],
] as const;

for (const [set, field] of tooLarge) {
  Deno.test(`${set.slice(0, 60)}: refused with the field and what is allowed`, () => {
    const message = refusal(set);
    assert(message.startsWith(`--set: ${field} cannot be`), message);
    assertMatch(message, /Allowed: .*at most/);
  });
}

Deno.test("numbers that JSON reads as infinite, and what is no number, are named as they are", () => {
  assertMatch(refusal("optimizer.learningRate=1e309"), /optimizer\.learningRate cannot be Infinity/);
  assertMatch(refusal("training.epochs=-1e309"), /training\.epochs cannot be -Infinity/);
  for (const text of ["NaN", "Infinity", "null", '"5"', "[]", "true"]) {
    assertMatch(refusal(`moco.temperature=${text}`), /moco\.temperature cannot be/);
  }
});

Deno.test("values a hundred thousand levels deep are refused", () => {
  const deep = "[".repeat(1e5) + "]".repeat(1e5);
  const objects = '{"space":'.repeat(1e5) + "1" + "}".repeat(1e5);
  for (const text of [deep, objects, "[".repeat(1e5), '{"a":'.repeat(1e5)]) {
    const error = assertThrows(() => parseJson(text, "file"), ConfigurationError);
    assertMatch(error.message, /^file has more than 64 objects and lists inside each other/);
  }
  assertThrows(() => parseSet(`space=${deep}`), UsageError, "space: the value has more than 64");
  // As other readers hand it over.
  assertThrows(() => parseConfig(JSON.parse(objects), "file"), ConfigurationError, "more than 64");
  // Brackets in texts do not count.
  parseJson(JSON.stringify({ text: "[".repeat(1000) + '\\"' }), "file");
});

Deno.test("huge names and values are told shortly", () => {
  assertMatch(refusal(`training.${"x".repeat(1e6)}=1`), /name has 1000009 characters/);
  assertMatch(refusal(`training.batch="${"x".repeat(1e6)}"`), /training\.batch cannot be "xxx/);
  assertMatch(refusal("x".repeat(1e6)), /give a field and a value/);
});

Deno.test("hidden fields change nothing and are refused", () => {
  for (const set of ["__proto__.batch=1", "space.named.__proto__=max", "space.__proto__.x=1"]) {
    assertMatch(refusal(set), /__proto__ cannot be the name of a field/);
  }
  assertMatch(refusal('training={"__proto__":{"batch":3}}'), /__proto__ cannot be/);
  const raw = JSON.parse(`{"__proto__": {"training": {}}}`);
  assertThrows(() => parseConfig(raw, "file"), ConfigurationError, "__proto__ cannot be");
  assertMatch(refusal("constructor.prototype.x=1"), /constructor is not a configuration field/);
});

Deno.test("a byte-order mark before a configuration is passed over", () => {
  parseConfig(parseJson("\uFEFF" + JSON.stringify(smallConfig), "file"), "file");
});

Deno.test("numbers of drawn images have a limit", () => {
  for (const text of ["4294967295", "10000001", "1e9", "99999999999999999999"]) {
    assertThrows(() => parseDataSpec(`synthetic:${text}`), ConfigurationError, "from 1 to 10000000");
  }
});

Deno.test("flags with huge names and numbers are refused shortly", async () => {
  for (
    const args of [["--" + "x".repeat(1e6)], ["--image-size", "1e309"], ["--group-size", "9".repeat(400)]]
  ) {
    const { status, err } = await runInProcess(spaceCommand, args);
    assert(status === 2, err.slice(0, 200));
    assert(err.length < 2000, `${err.length} characters`);
  }
});
