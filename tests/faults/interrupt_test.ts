/** Interrupts at any moment: the state is that of the last complete step, and the process ends soon. */
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { resumeRun, startRun } from "../../src/pretrain/pretrain.ts";
import { add } from "../../src/tensor/ops/elementwise.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest } from "../helpers.ts";
import { assertSameRun, collectingHooks, run, smallRun } from "../pretrain/small_run.ts";
import { withFolder } from "../store/with_folder.ts";

/** Aborts when the event loop has had so many turns. */
function afterTurns(turns: number): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const timer = setInterval(() => --turns <= 0 && controller.abort(), 0);
  return { signal: controller.signal, stop: () => clearInterval(timer) };
}

/** A tensor, and how often one is added to it. */
class Counter {
  readonly total: Tensor;
  readonly #one: Tensor;

  constructor(readonly gpu: Gpu, length: number) {
    this.total = Tensor.zeros(gpu, [length]);
    this.#one = Tensor.from(gpu, new Float32Array(length).fill(1));
  }

  record(times: number): void {
    for (let time = 0; time < times; time++) {
      const tape = new Tape(this.gpu, false);
      this.gpu.stream.copy(add(tape, this.total, this.#one), this.total);
      tape.release();
    }
  }

  async read(): Promise<number> {
    return (await this.gpu.stream.uninterrupted(() => this.total.read()))[0];
  }

  release(): void {
    this.total.release();
    this.#one.release();
  }
}

gpuTest(
  "interrupted in the middle of steps and evaluations, and resumed, a run is the same",
  (gpu) =>
    withFolder(async (folder) => {
      const config = smallRun();
      await run(gpu, `${folder}/whole`, config);
      const path = `${folder}/parts`;
      // Every launch is a part.
      gpu.stream.submission.partSeconds = 1e-9;
      const before = gpu.stream.discards;
      let interrupts = 0;
      for (const turns of [700, 300, 1200, 450, 900]) {
        const { signal, stop } = afterTurns(turns);
        const hooks = { ...collectingHooks().hooks, signal };
        const outcome = interrupts === 0
          ? await startRun(gpu, path, config, hooks)
          : await resumeRun(gpu, path, {}, hooks);
        stop();
        if (outcome.interrupted) interrupts++;
      }
      assert(interrupts >= 3, `${interrupts} interrupts`);
      assert(gpu.stream.discards - before >= 2, "nothing was dropped half way");
      gpu.stream.submission.partSeconds = 0.4;
      await run(gpu, path, "resume");
      await assertSameRun(path, `${folder}/whole`);
    }),
);

gpuTest("an interrupt drops what was not submitted, and nothing of what is committed", async (gpu) => {
  const { stream } = gpu;
  const counter = new Counter(gpu, 1000);
  // Every launch is a part.
  stream.submission.partSeconds = 1e-9;
  counter.record(500);
  let interrupt = afterTurns(10);
  stream.interrupt = interrupt.signal;
  await assertRejects(() => stream.flush(), DOMException);
  interrupt.stop();
  const reached = await counter.read();
  assert(reached > 0 && reached < 500, `${reached} of 500`);

  counter.record(3);
  stream.commit();
  counter.record(500);
  interrupt = afterTurns(30);
  stream.interrupt = interrupt.signal;
  await stream.flush();
  interrupt.stop();
  assert(interrupt.signal.aborted);
  assertEquals(await counter.read(), reached + 503);

  counter.record(3);
  await assertRejects(() => stream.flush(), DOMException);
  assertEquals(await counter.read(), reached + 503);
  counter.release();
});

gpuTest("the event loop has its turns while the device works", async (gpu) => {
  const counter = new Counter(gpu, 4_000_000);
  await gpu.finish();
  let longest = 0, last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  counter.record(250);
  const start = last = performance.now();
  await gpu.finish();
  const seconds = (performance.now() - start) / 1000;
  clearInterval(timer);
  counter.release();
  assert(seconds > 1, "the work was too short to tell");
  // On a machine that others use, too, a part may take several times as long as was estimated.
  assertLess(longest / 1000, Math.max(1.8, 0.5 * seconds));
});

gpuTest("short work is submitted in one piece and waits for nothing", async (gpu) => {
  const counter = new Counter(gpu, 1000);
  counter.record(2);
  await gpu.finish();
  let turned = false;
  const timer = setTimeout(() => turned = true, 0);
  counter.record(20);
  await gpu.stream.flush();
  clearTimeout(timer);
  assert(!turned);
  assertEquals(await counter.read(), 22);
  counter.release();
});
