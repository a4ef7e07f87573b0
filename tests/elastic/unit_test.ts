import { assertEquals, assertThrows } from "@std/assert";
import {
  type Layer,
  sequence,
  storedCalls,
  traceMacs,
  traceUnit,
  type Unit,
} from "../../src/elastic/unit.ts";
import type { Shape } from "../../src/shape.ts";

/** [N, C] to [N, channels] by a stored matrix. */
function product(name: string, channels: number): Layer {
  return {
    parameters: ([, inputs]) => [[name, { shape: [channels, inputs], start: "fan-out" }]],
    statistics: () => [],
    outputShape: ([images]) => [images, channels],
    macs: ([images, inputs]) => images * inputs * channels,
    scratchShape: () => undefined,
  };
}

/** The sum of two inputs. */
const sum: Layer = {
  parameters: () => [],
  statistics: () => [],
  outputShape: (one, other) => {
    assertEquals(one, other);
    return one;
  },
  macs: () => 0,
  scratchShape: () => undefined,
};

const [first, second, shortcut] = [product("first", 5), product("second", 7), product("shortcut", 7)];
/** The shortcut runs first and is stored last. */
const block: Unit = {
  key: "block",
  layers: [first, second, shortcut, sum],
  forward(apply, input) {
    const side = apply(shortcut, input);
    return apply(sum, apply(second, apply(first, input)), side);
  },
};

Deno.test("a unit is followed with shapes in the order in which it runs", () => {
  const trace = traceUnit(block, [2, 3]);
  assertEquals(trace.output, [2, 7]);
  assertEquals(trace.calls.map(({ inputs }) => inputs), [[[2, 3]], [[2, 3]], [[2, 5]], [[2, 7], [2, 7]]]);
  assertEquals(traceMacs(trace), 2 * (3 * 7 + 3 * 5 + 5 * 7));
});

Deno.test("its weights are those of its list of layers, at the width that comes in", () => {
  const names = (input: Shape) =>
    storedCalls(block, traceUnit(block, input)).flatMap(({ layer, inputs }) => [
      ...layer.parameters(...inputs).map(([name, { shape }]) => `${name} ${shape}`),
    ]);
  assertEquals(names([1, 3]), ["first 5,3", "second 7,5", "shortcut 7,3"]);
  assertEquals(names([1, 4]), ["first 5,4", "second 7,5", "shortcut 7,4"]);
});

Deno.test("a sequence applies its layers one after the other", () => {
  const trace = traceUnit(sequence("two", [first, second]), [1, 3]);
  assertEquals(trace.calls.map(({ layer, output }) => [layer === first, output]), [
    [true, [1, 5]],
    [false, [1, 7]],
  ]);
});

Deno.test("a unit whose list is not what it applies is refused", () => {
  const check = (unit: Unit) => storedCalls(unit, traceUnit(unit, [1, 7]));
  const forward: Unit["forward"] = (apply, input) => apply(second, input);
  assertThrows(() => check({ key: "more", layers: [second, first], forward }), Error, '"more" applies 1');
  assertThrows(() => check({ key: "other", layers: [first], forward }), Error, '"other" lists a layer');
  assertThrows(
    () =>
      check({
        key: "twice",
        layers: [second, second],
        forward: (apply, x) => apply(second, apply(second, x)),
      }),
    Error,
    '"twice" applies 2',
  );
});
