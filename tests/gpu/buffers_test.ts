import { assertEquals, assertThrows } from "@std/assert";
import { DeviceLimitError } from "../../src/errors.ts";
import type { PooledBuffer } from "../../src/gpu/buffers.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest } from "../helpers.ts";

gpuTest("the same requests get the same buffers, in whatever order they were given back", async (gpu) => {
  const requests = [300, 300, 5000, 300, 256, 5000];
  const acquireAll = () => requests.map((bytes) => gpu.pool.acquire(bytes));
  const ids = (buffers: PooledBuffer[]) => buffers.map(({ id }) => id);
  const first = acquireAll();
  const { held, buffers } = gpu.pool.use;
  for (const order of [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]]) {
    for (const place of order) gpu.pool.release(first[place]);
    assertEquals(ids(acquireAll()), ids(first));
  }
  assertEquals([gpu.pool.use.held, gpu.pool.use.buffers], [held, buffers]);
  for (const buffer of first) gpu.pool.release(buffer);
  assertEquals(gpu.pool.use.used, 0);
  await gpu.finish();
});

gpuTest("a rehearsal without bounds counts what no binding holds, and reads zeros", async (gpu) => {
  const rehearsal = Gpu.rehearse(gpu.facts, gpu.device.limits);
  const { pool } = rehearsal;
  const beyond = pool.limit + 4;
  assertThrows(() => pool.acquire(beyond), DeviceLimitError, `${beyond} bytes`);
  pool.bounded = false;
  const { held } = pool.use;
  const buffer = pool.acquire(beyond);
  assertEquals([pool.use.held - held, pool.use.largest], [beyond, beyond]);
  pool.release(buffer);
  assertEquals(await Tensor.from(rehearsal, Float32Array.of(1, 2, 3)).read(), new Float32Array(3));
});
