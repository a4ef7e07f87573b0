import { assertEquals, assertThrows } from "@std/assert";
import { GpuError } from "../../src/errors.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { kernel } from "../../src/gpu/kernel.ts";
import { linearGrid } from "../../src/gpu/dispatch.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

const addSource = `struct Params {
  count: u32,
  shift: i32,
  summand: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
#include grid
@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index < params.count) { values[index] += params.summand + f32(params.shift); }
}`;
const add = kernel("test_add", addSource);

Deno.test("Launches, copies and clears run in the order of recording", async () => {
  using gpu = await openGpu();
  const values = Tensor.from(gpu, Float32Array.of(1, 2, 3));
  const copy = Tensor.create(gpu, [3]);
  const launch = (summand: number, shift: number) =>
    gpu.stream.dispatch({
      kernel: add,
      buffers: { values },
      params: { count: 3, shift, summand },
      grid: linearGrid(3, 64),
      turns: 0,
    });
  launch(0.5, -1);
  gpu.stream.copy(values, copy);
  gpu.stream.clear(values);
  launch(2, 5);
  const [after, between] = (await gpu.read(values, copy)).map((bytes) => [...new Float32Array(bytes)]);
  assertEquals(between, [0.5, 1.5, 2.5]);
  assertEquals(after, [7, 7, 7]);
});

Deno.test("Long work tells how far it is handed over; short work does not", async () => {
  using gpu = await openGpu();
  const values = Tensor.zeros(gpu, [3]);
  const shares: number[] = [];
  gpu.stream.submission.onPart = (share) => void shares.push(share);
  const launch = (flops: number) =>
    gpu.stream.dispatch({
      kernel: add,
      buffers: { values },
      params: { count: 3, shift: 0, summand: 1 },
      grid: [1, 1, 1],
      turns: 0,
      work: { flops },
    });
  launch(1);
  await gpu.finish();
  assertEquals(shares, []);
  // Each launch says that it takes long enough for a part of its own.
  for (let part = 0; part < 5; part++) launch(1e14);
  await gpu.finish();
  assertEquals(shares.length > 1 && shares.at(-1) === 1, true, String(shares));
  assertEquals(shares, shares.toSorted((a, b) => a - b));
  assertEquals([...await values.read()], [6, 6, 6]);
});

Deno.test("A launch that a kernel cannot take is refused where it is made", async () => {
  using gpu = await openGpu();
  const values = Tensor.zeros(gpu, [3]);
  const launch = (params: Record<string, number>, buffers: Record<string, Tensor> = { values }) =>
    gpu.stream.dispatch({ kernel: add, buffers, params, grid: [1, 1, 1], turns: 0 });
  const right = { count: 3, shift: 0, summand: 1 };
  for (
    const [params, message] of [
      [{ count: 3, summand: 1 }, "test_add.wgsl: parameter 'shift' is not given"],
      [{ ...right, count: -1 }, "parameter 'count' is -1; a u32 is needed"],
      [{ ...right, count: 2 ** 32 }, "parameter 'count' is 4294967296; a u32 is needed"],
      [{ ...right, count: 1.5 }, "parameter 'count' is 1.5; a u32 is needed"],
      [{ ...right, shift: 2 ** 31 }, "parameter 'shift' is 2147483648; a i32 is needed"],
      [{ ...right, shift: NaN }, "parameter 'shift' is NaN; a i32 is needed"],
    ] as const
  ) assertThrows(() => launch(params as Record<string, number>), GpuError, message);
  assertThrows(() => launch(right, {}), GpuError, "test_add.wgsl: buffer 'values' is not given");
  assertThrows(
    () =>
      gpu.stream.dispatch({ kernel: add, buffers: { values }, params: right, grid: [65536, 1, 1], turns: 0 }),
    GpuError,
    "test_add: a grid of 65536 x 1 x 1 workgroups",
  );
  launch({ ...right, count: 3 });
  assertEquals([...await values.read()], [1, 1, 1]);
});

Deno.test("Two kernels of one name are told apart or refused", async () => {
  using gpu = await openGpu();
  const values = Tensor.zeros(gpu, [1]);
  const call = {
    buffers: { values },
    params: { count: 1, shift: 0, summand: 1 },
    grid: [1, 1, 1],
    turns: 0,
  } as const;
  gpu.stream.dispatch({ ...call, kernel: add });
  gpu.stream.dispatch({ ...call, kernel: kernel("test_add", addSource) });
  assertThrows(
    () => gpu.stream.dispatch({ ...call, kernel: kernel("test_add", addSource + "\n// changed") }),
    GpuError,
    "two different kernels are named 'test_add'",
  );
  assertEquals([...await values.read()], [2]);
});
