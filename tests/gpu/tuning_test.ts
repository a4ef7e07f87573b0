import { kernel } from "../../src/gpu/kernel.ts";
import { assertEquals } from "@std/assert";
import { type KernelVariant, readTag, shapeBucket, Tuning, variantName } from "../../src/gpu/tuning.ts";
import { chooseVariants, hopelessVariants, type TrialTime } from "../../src/gpu/tuning_choice.ts";

const variant = (name: string, tile: number): KernelVariant => ({
  kernel: kernel(name, ""),
  constants: { TILE: tile, BIAS: false },
  grid: [1, 1, 1],
});
const variants = [variant("rows", 8), variant("rows", 16), variant("tiled", 8)];
const names = variants.map(variantName);

/** The name and the tag that a launch of the bucket gets. */
function choose(tuning: Tuning, bucket = "here", list = variants): [string, string | undefined] {
  const { variant, tag } = tuning.choose(() => bucket, list);
  return [variantName(variant), tag];
}

Deno.test("a bucket names a kind of launch, its sizes rounded up to powers of two", () => {
  assertEquals(shapeBucket("convolution 3x3/1", [48, 64, 1, 0, 65]), "convolution 3x3/1 64 64 1 1 128");
});

Deno.test("a variant's name holds kernel and constants, not the grid", () => {
  assertEquals(names[1], "rows TILE=16 BIAS=false");
  assertEquals(variantName({ ...variants[1], grid: [7, 8, 9] }), names[1]);
});

Deno.test("the default is taken without choices, for other buckets, and for a choice that does not apply", () => {
  const tuning = new Tuning();
  assertEquals(choose(tuning), [names[0], undefined]);
  tuning.use(new Map([["here", names[2]], ["elsewhere", "removed TILE=8"]]));
  assertEquals(choose(tuning), [names[2], undefined]);
  assertEquals(choose(tuning, "elsewhere"), [names[0], undefined]);
  assertEquals(choose(tuning, "new"), [names[0], undefined]);
  assertEquals(choose(tuning, "here", variants.slice(0, 2)), [names[0], undefined]);
});

Deno.test("trials go round the list, without dropped variants and known buckets", () => {
  const tuning = new Tuning();
  tuning.use(new Map([["known", names[1]]]));
  const round = (trials: number) =>
    Array.from({ length: trials }, (_, trial) => {
      tuning.trial = trial;
      assertEquals(choose(tuning, "known"), [names[1], undefined]);
      choose(tuning, "short", variants.slice(0, 1));
      const [name, tag] = choose(tuning);
      assertEquals(readTag(tag!), { bucket: "here", name });
      return name;
    });
  assertEquals(round(4), [...names, names[0]]);
  assertEquals([tuning.mostVariants, tuning.defaults.get("here")], [3, names[0]]);
  tuning.drop({ bucket: "here", name: names[0] });
  tuning.drop({ bucket: "here", name: names[1] });
  assertEquals(round(2), [names[0], names[2]], "the default stays");
  assertEquals(tuning.mostVariants, 2);
  tuning.trial = undefined;
  assertEquals(choose(tuning), [names[0], undefined]);
});

/** A round in which the variants of a bucket had these rates. */
function times(bucket: string, rates: Record<string, number>): TrialTime[] {
  return Object.entries(rates).map(([name, rate]) => ({ bucket, name, flops: 100 * rate, seconds: 100 }));
}

Deno.test("the fastest in the median is chosen, if it gains 3 %", () => {
  const defaults = new Map([["a", "one"], ["b", "one"]]);
  const rounds = [
    [...times("a", { one: 10, two: 12 }), ...times("b", { one: 10, two: 10.2 })],
    [...times("a", { one: 10, two: 12 }), ...times("b", { one: 10, two: 99 })],
    [...times("a", { one: 99, two: 12 }), ...times("b", { one: 10, two: 10.2 })],
  ];
  const one = { name: "one", rate: 10 };
  assertEquals(chooseVariants(rounds, defaults), [
    { bucket: "a", standard: one, chosen: { name: "two", rate: 12 } },
    { bucket: "b", standard: one, chosen: one },
  ]);
});

Deno.test("nothing is chosen from too few rounds or where nothing else was tried", () => {
  const defaults = new Map([["a", "one"]]);
  const rounds = (rates: Record<string, number>, count: number) =>
    Array.from({ length: count }, () => times("a", rates));
  assertEquals(chooseVariants(rounds({ one: 1, two: 9 }, 2), defaults), []);
  assertEquals(chooseVariants(rounds({ one: 1 }, 3), defaults), []);
  assertEquals(chooseVariants(rounds({ two: 1, three: 9 }, 3), defaults), [], "no default");
  assertEquals(chooseVariants(rounds({ one: 0, two: 0 }, 3), defaults), [], "launches that compute nothing");
  const [{ chosen }] = chooseVariants([...rounds({ one: 2, two: 9 }, 1), ...rounds({ one: 2 }, 2)], defaults);
  assertEquals(chosen.name, "one", "a variant that ran once does not win");
});

Deno.test("variants below half the best of their bucket are hopeless", () => {
  const round = [...times("a", { one: 10, two: 4.9, three: 5.1 }), ...times("b", { two: 1 })];
  assertEquals(hopelessVariants(round), [{ bucket: "a", name: "two" }]);
});
