/** Lifetimes of tensors and their views. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { GpuError, LifetimeError, ShapeError } from "../../src/errors.ts";
import { relu } from "../../src/tensor/ops/elementwise.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest, randomTensor, randomValues } from "../helpers.ts";

gpuTest("a released tensor is refused, and so is every view of it", async (gpu) => {
  const used = gpu.pool.use.used;
  const owner = randomTensor(gpu, [2, 64], 1);
  const view = owner.view([128]);
  const users = [owner, view, view.view([64, 2]), owner.slice(64, [64]), view.slice(0, [4]), owner.detach()];
  owner.release();
  const other = randomTensor(gpu, [128], 2);
  const tape = new Tape(gpu, false);
  for (const tensor of users) {
    await assertRejects(() => tensor.read(), LifetimeError, "used after its release");
    await assertRejects(() => gpu.read(tensor), LifetimeError);
    assertThrows(() => tensor.write(randomValues(tensor.length, 3)), LifetimeError);
    assertThrows(() => gpu.stream.clear(tensor), LifetimeError);
    assertThrows(() => gpu.stream.copy(tensor, other.slice(0, tensor.shape)), LifetimeError);
    assertThrows(() => gpu.stream.copy(other.slice(0, tensor.shape), tensor), LifetimeError);
    assertThrows(() => relu(tape, tensor), LifetimeError);
    assertThrows(() => tensor.view([tensor.length]), LifetimeError);
    assertThrows(() => tensor.slice(0, [1]), LifetimeError);
    assertThrows(() => tensor.detach(), LifetimeError);
  }
  assertEquals(await other.read(), randomValues(128, 2), "memory that was handed on");
  assertThrows(() => owner.release(), LifetimeError, "released twice");
  tape.release();
  other.release();
  assertEquals(gpu.pool.use.used, used);
  assertThrows(() => tape.release(), LifetimeError);
});

gpuTest("releasing a view ends the view alone", async (gpu) => {
  using owner = randomTensor(gpu, [128], 1);
  const { used } = gpu.pool.use;
  const view = owner.slice(64, [8, 8]);
  view.release();
  await assertRejects(() => view.read(), LifetimeError);
  assertThrows(() => view.release(), LifetimeError);
  assertEquals(await owner.read(), randomValues(128, 1));
  assertEquals(gpu.pool.use.used, used);
});

gpuTest("a tensor ends with its block", (gpu) => {
  const { used } = gpu.pool.use;
  {
    using tensor = Tensor.zeros(gpu, [1000]);
    using tape = new Tape(gpu, true);
    tape.watch(tensor);
    relu(tape, tensor);
  }
  assertEquals(gpu.pool.use.used, used);
  return Promise.resolve();
});

gpuTest("views show the elements they name, and no others", async (gpu) => {
  using owner = randomTensor(gpu, [4, 64], 1);
  const values = randomValues(256, 1);
  assertEquals(await owner.view([2, 128]).slice(128, [128]).slice(3, [5]).read(), values.subarray(131, 136));
  for (const start of [-1, 0.5, 253, NaN]) {
    assertThrows(() => owner.slice(start, [4]), ShapeError, `elements ${start}`);
  }
  assertThrows(() => owner.view([255]), ShapeError);
  using tape = new Tape(gpu, false);
  assertEquals(
    await relu(tape, owner.slice(64, [3])).read(),
    values.subarray(64, 67).map((v) => Math.max(v, 0)),
  );
  assertThrows(() => relu(tape, owner.slice(63, [3])), GpuError, "begins at byte 252");
});
