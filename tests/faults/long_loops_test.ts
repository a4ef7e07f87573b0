/**
 * Every kernel that loops, made to loop longer than Mesa's software driver can (65 535 turns of all loops of an invocation
 * together): its result is right, or it is refused.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { GpuError, LoopLimitError } from "../../src/errors.ts";
import { cutRounds, loop, mostLoopTurns } from "../../src/gpu/limits.ts";
import type { Dispatch } from "../../src/gpu/dispatch.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest } from "../helpers.ts";
import type { LongLoop, Outcome } from "./long_loops/case.ts";
import { convolutions } from "./long_loops/convolutions.ts";
import { dense } from "./long_loops/dense.ts";
import { images } from "./long_loops/images.ts";
import { regions } from "./long_loops/regions.ts";
import { similarity } from "./long_loops/similarity.ts";
import { sums } from "./long_loops/sums.ts";
import { benchPeakKernel } from "../../bench/limits.ts";

const cases: LongLoop[] = [...sums, ...convolutions, ...images, ...similarity, ...dense, ...regions];

/** A kernel's text with what it includes. */
function text(name: string): string {
  const path = name.startsWith("bench_") ? `../../bench/kernels/${name.slice(6)}` : `../../kernels/${name}`;
  return Deno.readTextFileSync(new URL(`${path}.wgsl`, import.meta.url)).replace(
    /#include (\w+)/g,
    (_, include: string) => text(`include/${include}`),
  );
}

/** Turns that a launch states for one invocation, before the stream cuts it. */
function turnsOf({ turns }: Dispatch): number {
  return typeof turns === "number" ? turns : loop(turns.rounds, turns.each - 1);
}

/** Checks that the launches of a kernel are what the case says. */
function expectLaunches(kernel: string, outcome: Outcome, calls: readonly Dispatch[]): void {
  const turns = calls.filter((call) => call.kernel.name === kernel).map(turnsOf);
  assert(turns.length > 0, `${kernel} was not launched`);
  const most = Math.max(...turns);
  assert(most > 0, `${kernel} loops, but states no turns`);
  if (outcome === "cut") assert(most > mostLoopTurns, `${kernel} made ${most} turns, which fit one launch`);
  else assert(most <= mostLoopTurns, `${kernel} would have been cut: ${most} turns`);
}

for (const { name, kernels, assumed, run } of cases) {
  gpuTest(`long loops: ${name}`, async (gpu) => {
    const calls: Dispatch[] = [];
    const { stream } = gpu;
    const dispatch = stream.dispatch.bind(stream);
    stream.dispatch = (call) => {
      calls.push(call);
      dispatch(call);
    };
    let failure: unknown;
    try {
      await run(gpu);
    } catch (error) {
      failure = error;
    }
    const refused = Object.keys(kernels).find((kernel) => kernels[kernel] === "refused");
    if (refused === undefined) {
      if (failure !== undefined) throw failure;
      for (const [kernel, outcome] of Object.entries(kernels)) expectLaunches(kernel, outcome, calls);
      return;
    }
    if (!(failure instanceof LoopLimitError)) throw new Error("was not refused", { cause: failure });
    assertEquals(failure.kernel, refused);
    assertEquals(failure.turns, turnsOf(calls.at(-1)!));
    assert(failure.turns > failure.limit && failure.message.includes(`${refused}.wgsl`));
  }, assumed);
}

Deno.test("every kernel with a loop is made to loop too long", () => {
  const files = [...Deno.readDirSync(new URL("../../kernels", import.meta.url))].map(({ name }) => name);
  const kernels = files.filter((name) => name.endsWith(".wgsl")).map((name) => name.slice(0, -5));
  const looping = [...kernels, "bench_copy", "bench_peak"].filter((name) =>
    /\b(for|while|loop)\s*[({]/.test(text(name))
  );
  const tested = new Set(cases.flatMap(({ kernels }) => Object.keys(kernels)));
  assertEquals(looping.filter((name) => !tested.has(name)), []);
  // What is only short elsewhere is shown to be cut, split or refused where it could be long.
  const never = [
    "augment_colour",
    "augment_crop",
    "batchnorm_apply",
    "batchnorm_gradient_apply",
    "cross_entropy_finish",
    "dense_crop",
    "find_nonfinite",
    // cka_centre refuses so many samples before.
    "image_cka",
    "info_nce_finish",
    "softmax_rows",
  ];
  const short = [...tested].filter((name) =>
    cases.every(({ kernels }) => kernels[name] === undefined || kernels[name] === "short")
  );
  assertEquals(short.sort(), never);
});

gpuTest("a loop is cut only in kernels that take a part of it", (gpu) => {
  const output = Tensor.create(gpu, [64]);
  assertThrows(
    () =>
      gpu.stream.dispatch({
        kernel: benchPeakKernel,
        constants: { SUMS: 2 },
        buffers: { output },
        params: { rounds: 1, factor: 1, summand: 1 },
        grid: [1, 1, 1],
        turns: { rounds: 1, each: 1 },
      }),
    GpuError,
    "no parameter 'endRound'",
  );
  return Promise.resolve();
});

Deno.test("rounds are cut without a gap, and every launch stays within the limit", () => {
  for (const each of [1, 2, 7, 59_998, 59_999]) {
    for (const rounds of [0, 1, 59_999, 60_000, 200_001]) {
      if (rounds * each > 1e9) continue;
      const parts = cutRounds({ rounds, each });
      assertEquals(parts[0].first, 0);
      assertEquals(parts.at(-1)!.end, rounds);
      parts.forEach(({ first, end }, at) => {
        assert(loop(end - first, each - 1) <= mostLoopTurns);
        if (at > 0) assertEquals(first, parts[at - 1].end);
      });
    }
  }
  assertEquals(cutRounds({ rounds: 1, each: 60_000 }), []);
});
