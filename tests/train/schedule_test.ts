import { assertAlmostEquals, assertEquals } from "@std/assert";
import { learningRate, type Schedule } from "../../src/train/schedule.ts";

const base: Schedule = {
  learningRate: 0.4,
  schedule: "constant",
  warmupEpochs: 0,
  milestones: [],
  stepFactor: 0.1,
  power: 0.9,
  floor: 0,
};
/** Rates at some steps of ten epochs of ten steps. */
const rates = (changes: Partial<Schedule>, steps: readonly number[]) =>
  steps.map((step) => learningRate({ ...base, ...changes }, step, 10, 10));

Deno.test("warm-up ends at the base rate, and the schedule begins there", () => {
  const [first, last, next] = rates({ warmupEpochs: 2 }, [0, 19, 20]);
  assertAlmostEquals(first, 0.4 / 20);
  assertEquals([last, next], [0.4, 0.4]);
  assertEquals(rates({ warmupEpochs: 2, schedule: "cosine" }, [20]), [0.4]);
});

Deno.test("cosine and poly go from the base rate to the floor", () => {
  const [start, middle] = rates({ schedule: "cosine" }, [0, 50]);
  assertEquals(start, 0.4);
  assertAlmostEquals(middle, 0.2);
  assertAlmostEquals(rates({ schedule: "cosine", floor: 0.1 }, [50])[0], 0.25);
  const [first, half] = rates({ schedule: "poly", power: 2, floor: 0.1 }, [0, 50]);
  assertEquals(first, 0.4);
  assertAlmostEquals(half, 0.1 + 0.3 * 0.25);
  assertAlmostEquals(learningRate({ ...base, schedule: "poly", floor: 0.01 }, 100, 10, 10), 0.01);
});

Deno.test("steps multiply the rate at each milestone", () => {
  const found = rates({ schedule: "steps", milestones: [3, 8], stepFactor: 0.5 }, [0, 29, 30, 79, 80, 99]);
  assertEquals(found, [0.4, 0.4, 0.2, 0.2, 0.1, 0.1]);
});
