/** Ranges of quantities and of times, as flags give them. */
import { assertEquals, assertThrows } from "@std/assert";
import { parseRange, parseTimeRange } from "../../src/cli/range.ts";
import { UsageError } from "../../src/errors.ts";

Deno.test("a range has one bound or two, or is a number", () => {
  assertEquals(parseRange("--macs", "..3M"), { from: undefined, to: 3e6 });
  assertEquals(parseRange("--macs", "2M..3M"), { from: 2e6, to: 3e6 });
  assertEquals(parseRange("--macs", "2M.."), { from: 2e6, to: undefined });
  assertEquals(parseRange("--macs", "64"), { from: 64, to: 64 });
  for (const text of ["", "..", "3M..2M", "1..2..3", "x", "..5ms"]) {
    assertThrows(() => parseRange("--macs", text), UsageError, `--macs cannot be "${text}"`);
  }
});

Deno.test("a range of times is in milliseconds unless it says otherwise; a single time is the most", () => {
  assertEquals(parseTimeRange("--latency", "..5ms"), { from: undefined, to: 5 });
  assertEquals(parseTimeRange("--latency", "..5"), { from: undefined, to: 5 });
  assertEquals(parseTimeRange("--latency", "..0.5s"), { from: undefined, to: 500 });
  assertEquals(parseTimeRange("--latency", "..0.0033s"), { from: undefined, to: 3.3 });
  assertEquals(parseTimeRange("--latency", "200us..2ms"), { from: 0.2, to: 2 });
  assertEquals(parseTimeRange("--latency", "2ms..5ms"), { from: 2, to: 5 });
  assertEquals(parseTimeRange("--latency", "1.."), { from: 1, to: undefined });
  assertEquals(parseTimeRange("--latency", "5ms"), { to: 5 });
  for (
    const text of ["", "..", "ms", "..5m", "5ms..2ms", "..-1", "..0", "1..2..3", "..5 ms x", "..Infinity"]
  ) {
    assertThrows(() => parseTimeRange("--latency", text), UsageError, `--latency cannot be "${text}"`);
  }
});
