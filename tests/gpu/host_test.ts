import { assertEquals } from "@std/assert";
import { Gpu, wantedLimits } from "../../src/gpu/device.ts";
import { findAdapter } from "../../src/host/adapter.ts";
import { relu } from "../../src/tensor/ops/elementwise.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

Deno.test("a device that the host has opened is taken as it is, without features", async () => {
  const adapter = await findAdapter();
  if (typeof adapter === "string") throw new Error(adapter);
  const requiredLimits = Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name]]));
  using gpu = Gpu.from(await adapter.requestDevice({ requiredLimits }), adapter.info);
  assertEquals([gpu.facts.subgroupLanes, gpu.facts.timestamps], [0, false]);
  using tape = new Tape(gpu, false);
  using input = Tensor.from(gpu, Float32Array.of(-1, 2, NaN));
  assertEquals(await relu(tape, input).read(), Float32Array.of(0, 2, NaN));
});
