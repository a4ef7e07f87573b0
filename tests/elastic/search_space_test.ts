import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { ConfigurationError } from "../../src/errors.ts";
import { purpose, Random } from "../../src/random.ts";
import { formatArchitecture } from "../../src/elastic/architecture.ts";
import { parameters } from "../../src/elastic/costs.ts";
import { parseArchitecture } from "../../src/elastic/resnet_architecture.ts";
import { SearchSpace, type SpaceDefinition } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { published, resnet18, small } from "./spaces.ts";

Deno.test("the published space has 85 293 architectures", () => {
  const space = new SearchSpace(published);
  assertEquals(space.size, 85_293);
  assertEquals(formatArchitecture(space.min), "32-48.96.192.384-2.2.5.2");
  assertEquals(formatArchitecture(space.max), "64-80.160.320.640-4.6.29.4");
});

Deno.test("numbers and architectures correspond one to one", () => {
  const space = new SearchSpace(small);
  const ids = [...space.enumerate()].map(formatArchitecture);
  assertEquals(ids.length, space.size);
  assertEquals(new Set(ids).size, 24);
  for (let index = 0; index < space.size; index++) assertEquals(space.indexOf(space.at(index)), index);
  assertEquals(ids.slice(0, 3), ["4-8.8-1.1", "4-8.8-1.3", "4-8.12-1.1"]);
  const large = new SearchSpace(published);
  for (const index of [0, 1, 4711, 85_292]) assertEquals(large.indexOf(large.at(index)), index);
  assertThrows(() => space.at(24), RangeError);
  assertThrows(() => space.indexOf(parseArchitecture("4-8.8-1.2")), ConfigurationError, "stage 2 depth 2");
});

Deno.test("max, min, names and ids are resolved", () => {
  const space = new SearchSpace(published);
  assertEquals(space.resolve("max"), space.max);
  assertEquals(space.resolve("min"), space.min);
  assertEquals(formatArchitecture(space.resolve("r50")), "64-64.128.256.512-3.4.6.3");
  assertEquals(space.resolve("64-64.128.256.512-3.4.6.3"), space.resolve("r50"));
});

Deno.test("a subnet between trained depths can be cut out but is not a member", () => {
  const space = new SearchSpace(published);
  const resnet50 = space.resolve("r50");
  assert(space.canCut(resnet50));
  assertFalse(space.contains(resnet50));
  assert(space.contains(space.resolve("r101")));
});

Deno.test("what is off is named, with what is allowed", () => {
  const space = new SearchSpace(published);
  const cases: [string, string][] = [
    ["40-64.128.256.512-3.4.7.3", "stem width 40 is not one of 32, 48, 64"],
    ["64-64.100.256.512-3.4.7.3", "stage 2 width 100 is not one of 96, 128, 160"],
    ["64-64.128.256.512-3.4.31.3", "stage 3 depth 31 is not between 5 and 29"],
    ["64-64.128.256.512-1.4.7.3", "stage 1 depth 1 is not between 2 and 4"],
    ["64-64.128.256-3.4.7", "3 widths and 3 depths; the space has 4 stages"],
    ["r51", "max, min, r50, r77, r101"],
    ["", "max, min, r50, r77, r101"],
  ];
  for (const [text, message] of cases) assertThrows(() => space.resolve(text), ConfigurationError, message);
});

Deno.test("uniform samples cover the space evenly and repeat with their seed", () => {
  const space = new SearchSpace(small);
  const draw = (seed: number) => {
    const random = new Random(seed, purpose.test);
    return Array.from({ length: 2400 }, () => space.indexOf(space.sampleUniform(random)));
  };
  const draws = draw(1);
  const counts = new Array(space.size).fill(0);
  for (const index of draws) counts[index]++;
  assert(counts.every((count) => count > 60 && count < 140), counts.join(" "));
  assertEquals(draw(1), draws);
  assert(draw(2).some((index, position) => index !== draws[position]));
});

Deno.test("a sandwich is the largest, the smallest and random architectures, each once", () => {
  const space = new SearchSpace(published);
  const passes = space.sandwich(new Random(1, purpose.test), { largest: true, smallest: true, random: 2 });
  assertEquals(passes.map((pass) => pass.role), ["largest", "smallest", "random", "random"]);
  assertEquals(passes[0].architecture, space.max);
  assertEquals(passes[1].architecture, space.min);
  const randomOnly = space.sandwich(new Random(1, purpose.test), {
    largest: false,
    smallest: false,
    random: 2,
  });
  assertEquals(randomOnly, passes.slice(2));

  const single = new SearchSpace(resnet18);
  const only = single.sandwich(new Random(1, purpose.test), { largest: true, smallest: true, random: 3 });
  assertEquals(only, [{ role: "largest", architecture: single.max }]);
});

Deno.test("downsamples follow torchvision for fixed ResNets and are kept throughout elastic ones", () => {
  const stages = [0, 1, 2, 3];
  const downsamples = (definition: SpaceDefinition) => {
    const space = new SearchSpace(definition);
    return stages.map((stage) => space.hasDownsample(stage));
  };
  assertEquals(downsamples(resnet18), [false, true, true, true]);
  assertEquals(downsamples(published), [true, true, true, true]);
  assertEquals(downsamples({ ...resnet18, widths: [[48, 64], [128], [256], [512]] }), [
    true,
    true,
    true,
    true,
  ]);
  assertEquals(downsamples({ ...resnet18, stem: { kind: "7x7", widths: [32, 64] } }), [
    true,
    true,
    true,
    true,
  ]);
  assertEquals(downsamples({ ...resnet18, stem: { kind: "7x7", widths: [32] } }), [true, true, true, true]);
});

Deno.test("a definition that cannot be used is refused by field", () => {
  const cases: [Partial<SpaceDefinition>, string][] = [
    [
      { widths: [[8]], depths: [[1]], strides: [1] },
      "space.widths: describes 1 stages. A network has 2 to 6 stages",
    ],
    [{ depths: [[1]] }, "space.depths: describes 1 stages, but space.widths describes 2"],
    [{ strides: [1, 2, 2, 2] }, "space.strides: describes 4 stages, but space.widths describes 2"],
    [{ strides: [1, 3] }, "space.strides[1]: 3 is not a stride"],
    [{ widths: [[8], [16, 8]] }, "space.widths[1]: [16,8] is not a list of choices"],
    [{ widths: [[8], []] }, "space.widths[1]: [] is not a list of choices"],
    [{ depths: [[1, 1], [1]] }, "space.depths[0]: [1,1]"],
    [{ depths: [[0], [1]] }, "space.depths[0]: [0]"],
    [{ stem: { kind: "3x3", widths: [1.5] } }, "space.stem.widths: [1.5]"],
    [{ named: { max: "4-8.8-1.1" } }, "max and min are taken"],
    [{ named: { "4-8": "4-8.8-1.1" } }, '"4-8" cannot be a name'],
    [
      { named: { odd: "4-8.9-1.1" } },
      'space.named.odd: "4-8.9-1.1" is not in this search space: stage 2 width 9',
    ],
    [{ named: { odd: "wide" } }, 'space.named.odd: "wide" is not an architecture id'],
  ];
  for (const [part, message] of cases) {
    assertThrows(() => new SearchSpace({ ...small, ...part }), ConfigurationError, message);
  }
});

Deno.test("a cut subnet is a space of one with its supernet's projections", () => {
  const space = new SearchSpace(small);
  const architecture = space.resolve("8-8.8-2.1");
  const cut = space.cut(architecture);
  assertEquals(cut.size, 1);
  assertEquals(cut.max, architecture);
  assertEquals([cut.hasDownsample(0), cut.hasDownsample(1)], [true, true]);
  assertEquals(cut.cut(architecture).definition, cut.definition);
  const alone = new SearchSpace({ ...cut.definition, downsample: undefined });
  assertFalse(alone.hasDownsample(0));
  assertEquals(
    parameters(new ElasticResNet(cut), architecture),
    parameters(new ElasticResNet(space), architecture),
  );
  assertEquals(formatArchitecture(space.cut(parseArchitecture("4-8.8-1.2")).max), "4-8.8-1.2");
  assertThrows(() => space.cut(parseArchitecture("4-8.9-1.1")), ConfigurationError, "stage 2 width 9");
  assertThrows(
    () => new SearchSpace({ ...cut.definition, downsample: [true, false] }),
    ConfigurationError,
    "space.downsample[1]: is false",
  );
});
