import { assert, assertEquals } from "@std/assert";
import { formatClock } from "../../src/cli/plan_text.ts";
import { planLines } from "../../src/cli/pretrain_plan.ts";
import type { RunPlan } from "../../src/pretrain/dry_run.ts";

const MiB = 2 ** 20;
const plan: RunPlan = {
  steps: 100,
  epochs: 10,
  images: { training: 80, heldOut: 20 },
  memory: {
    device: { weights: 1, queue: 1, images: 1, activations: 1, total: 100 * MiB },
    host: { images: 1, teacher: 0, checkpoint: 1, runtime: 1, total: 400 * MiB },
  },
  free: 4000 * MiB,
  automatic: [],
  secondsPerStep: 0.25,
  seconds: 7320,
  ends: new Date(2026, 4, 6, 17, 8).toISOString(),
  shorter: [{ flags: "--epochs 4", seconds: 3000 }],
};

Deno.test("the first lines of a run: time, a smaller way, memory", () => {
  const [time, shorter, memory] = planLines(plan, true);
  assert(
    time.startsWith("about 250 ms a step, as measured; 2:02 h in all: ends about 17:08 on 2026-05-06"),
    time,
  );
  assertEquals(shorter, "That is more than an hour. Shorter: --epochs 4 (about 50:00 min)");
  assertEquals(memory, "memory: about 500 MiB of 4 000 MiB free");
  const [only] = planLines({ ...plan, secondsPerStep: null, seconds: null, ends: null, shorter: [] }, false);
  assertEquals(only, "memory: about 100 MiB of the device, 400 MiB of 4 000 MiB free of the machine");
});

Deno.test("today's time has no date", () => {
  const now = new Date(2026, 4, 6, 9, 0);
  assertEquals(formatClock(new Date(2026, 4, 6, 23, 59), now), "23:59");
  assertEquals(formatClock(new Date(2026, 4, 7, 0, 1), now), "00:01 on 2026-05-07");
});
