import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { tryKernels } from "../../src/doctor/kernels.ts";
import { isOlder } from "../../src/doctor/runtime.ts";
import { explainSilence } from "../../src/doctor/vulkan.ts";
import { GpuError } from "../../src/errors.ts";
import { gpuTest } from "../helpers.ts";

Deno.test("versions are compared number by number", () => {
  assertEquals(isOlder("2.9.6", "2.9.6"), false);
  assertEquals(isOlder("2.9.5", "2.9.6"), true);
  assertEquals(isOlder("2.10.0", "2.9.6"), false);
  assertEquals(isOlder("1.46.3", "2.0.0"), true);
  assertEquals(isOlder("2.9.6+abc", "2.9.6"), false);
});

Deno.test("why Vulkan is silent: variables, no driver, no loader, no device, in this order", () => {
  const drivers = ["lvp_icd.x86_64.json"];
  const what = (report: Parameters<typeof explainSilence>[0]) => explainSilence(report).what;
  assertMatch(
    what({ loader: false, drivers: [], overrides: { VK_DRIVER_FILES: "/x" } }),
    /VK_DRIVER_FILES="\/x"/,
  );
  assertMatch(what({ loader: false, drivers: [], overrides: {} }), /^no Vulkan driver is installed/);
  assertMatch(what({ loader: false, drivers, overrides: {} }), /libvulkan\.so\.1/);
  assertMatch(what({ loader: true, drivers, overrides: {} }), /has a device here: lvp_icd/);
});

gpuTest("the trial of the kernels tells other devices' variants", async (gpu) => {
  const used = await tryKernels(gpu);
  const constants = used.flatMap(({ constants }) => "SUBGROUP" in constants ? [constants.SUBGROUP] : []);
  assertEquals(new Set(constants), new Set([false]));
}, { software: false, subgroupLanes: 0 });

gpuTest("the trial finds a device that computes something wrong", async (gpu) => {
  const dispatch = gpu.stream.dispatch.bind(gpu.stream);
  gpu.stream.dispatch = () => {};
  await assertRejects(() => tryKernels(gpu), GpuError, "the 7x7 stem convolution computes 0");
  gpu.stream.dispatch = (call) =>
    call.kernel.name.startsWith("convolution_weight") ? undefined : dispatch(call);
  await assertRejects(
    () => tryKernels(gpu),
    GpuError,
    "the weight's gradient of the 7x7 stem convolution is wrong",
  );
});
