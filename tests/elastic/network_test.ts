import { assert, assertEquals, assertThrows } from "@std/assert";
import { groupsByMacs, macs, parameters } from "../../src/elastic/costs.ts";
import { elasticNetwork, featureChannels, segment, unitsOf, weightsOf } from "../../src/elastic/network.ts";
import { sequence } from "../../src/elastic/unit.ts";
import { ConfigurationError, ShapeError } from "../../src/errors.ts";
import { ConvolutionBatchnorm } from "../../src/nn/layers.ts";
import { elasticVgg } from "../nn/vgg.ts";

const network = elasticVgg();
const { space } = network;

Deno.test("ids are the choices by segment, and are read back", () => {
  assertEquals(space.max.id, "8.2-12.3-16.2");
  for (const architecture of space.enumerate()) assertEquals(space.resolve(architecture.id), architecture);
  assertEquals(
    [...space.enumerate()].map((one) => space.indexOf(one)),
    Array.from({ length: 64 }, (_, at) => at),
  );
  assertThrows(() => space.resolve("wide"), ConfigurationError, '"wide" is not an architecture');
  assertThrows(() => space.resolve("8.2-12.3"), ConfigurationError, "4 choices; the space has 6");
  assertThrows(
    () => space.resolve("8.2-9.3-16.2"),
    ConfigurationError,
    "half width 9 is not one of 8, 12",
  );
});

Deno.test("a depth between the choices can be cut out, a width cannot", () => {
  const between = space.resolve("8.2-12.2-16.2");
  assert(space.canCut(between) && !space.contains(between));
  assertThrows(() => space.resolve("6.2-12.2-16.2"), ConfigurationError, "full width 6");
  assertThrows(
    () => space.resolve("8.2-12.4-16.2"),
    ConfigurationError,
    "half depth 4 is not between 1 and 3",
  );
  const cut = network.cut(between);
  assertEquals([cut.space.size, cut.space.max.id], [1, "8.2-12.2-16.2"]);
  assertEquals(weightsOf(cut, cut.space.max), weightsOf(network, between));
});

Deno.test("keys are equal where units are, and differ with their choices", () => {
  const keys = (id: string) => unitsOf(network, space.resolve(id)).map(({ unit }) => unit.key);
  assertEquals(keys("8.1-12.3-12.1"), ["full.0 8", "half.0 12", "half.1 12", "half.2 12", "quarter.0 12"]);
  assertEquals(keys("8.1-12.1-12.1"), keys("8.1-12.3-12.1").filter((_, at) => at < 2 || at > 3));
  for (const [index, key] of keys("4.2-8.3-16.2").entries()) assert(key !== keys("8.2-12.3-12.2")[index]);
});

Deno.test("what a smaller architecture stores is a slice of what the largest does", () => {
  const { parameters: largest } = weightsOf(network, space.max);
  for (const architecture of space.enumerate()) {
    const { parameters, statistics } = weightsOf(network, architecture);
    assertEquals(statistics.size, 2 * unitsOf(network, architecture).length);
    for (const [name, { shape }] of parameters) {
      const stored = largest.get(name)!.shape;
      assertEquals(shape.length, stored.length);
      assert(shape.every((size, axis) => size <= stored[axis]), name);
    }
  }
  const smallest = weightsOf(network, space.min).parameters;
  assertEquals(smallest.get("half.0.convolution.weight"), { shape: [8, 4, 3, 3], start: "fan-out" });
  assertEquals(featureChannels(network, space.min), 12);
});

Deno.test("costs by hand, at an odd size that pools round down", () => {
  const one = space.resolve("4.1-12.3-16.1");
  const convolutions = [[3, 4, 9], [4, 12, 4], [12, 12, 4], [12, 12, 4], [12, 16, 2]];
  assertEquals(
    macs(network, one, 9),
    convolutions.reduce((sum, [i, o, side]) => sum + 9 * i * o * side ** 2, 0),
  );
  assertEquals(macs(network, one, 9, 1), 9 * 3 * 4 * 81);
  assertEquals(parameters(network, one), convolutions.reduce((sum, [i, o]) => sum + 9 * i * o + 2 * o, 0));
});

Deno.test("counts by MACs agree with enumeration", () => {
  for (const groupSize of [1, 3001, 1e5]) {
    const counts = new Map<number, number>();
    for (const architecture of space.enumerate()) {
      const index = Math.floor(macs(network, architecture, 12) / groupSize);
      counts.set(index, (counts.get(index) ?? 0) + 1);
    }
    assertEquals(
      groupsByMacs(network, 12, groupSize),
      [...counts].sort(([a], [b]) => a - b)
        .map(([index, count]) => ({ from: index * groupSize, to: (index + 1) * groupSize, count })),
    );
  }
});

Deno.test("a network that cannot be is refused", () => {
  const layer = new ConvolutionBatchnorm({ convolution: "c", batchnorm: "b", channels: 4, kernel: 3 });
  const one = (width: number[]) =>
    segment({ name: "one", tap: "one", choices: { width }, units: () => [sequence("a", [layer])] });
  for (const width of [[], [0], [1.5], [8, 4], [4, 4]]) {
    assertThrows(() => elasticNetwork([one(width)]), ConfigurationError, "one width: ");
  }
  assertThrows(() => elasticNetwork([one([4]), one([4])]), ConfigurationError, "a tap named one");
  assertThrows(() => elasticNetwork([{ ...one([4]), tap: undefined }]), ConfigurationError, "no tap");
  const empty = elasticNetwork([{ ...one([4]), units: () => [] }]);
  for (const walk of [unitsOf, weightsOf]) {
    assertThrows(() => walk(empty, empty.space.max), ShapeError, "no units at its choices 4");
  }
  assertThrows(() => macs(empty, empty.space.max, 8), ShapeError, "no units");
  const twice = elasticNetwork([one([4]), { ...one([4]), tap: "two" }]);
  assertThrows(
    () => weightsOf(twice, twice.space.max),
    ShapeError,
    "two layers of 4-4 have a weight named c.weight",
  );
});
