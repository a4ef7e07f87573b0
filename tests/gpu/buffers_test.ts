import { assertEquals } from "@std/assert";
import type { PooledBuffer } from "../../src/gpu/buffers.ts";
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
