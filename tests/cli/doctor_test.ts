import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";

const root = new URL("../../", import.meta.url).pathname;

async function task(env: Record<string, string>, ...args: string[]) {
  const command = new Deno.Command("deno", { args: ["task", "--quiet", ...args], cwd: root, env });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { status: code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("doctor describes the adapter, runs the kernels and decodes images", async () => {
  const { status, out } = await task({}, "doctor", "--json");
  const report = JSON.parse(out);
  assertEquals([status, report.usable, report.problems], [0, true, []]);
  const { adapter, deno, images, kernels } = report;
  assert(adapter.description.length > 0 && !adapter.vendor.startsWith("unknown"), JSON.stringify(adapter));
  assertEquals(adapter.timestamps, adapter.features.includes("timestamp-query"));
  assert(adapter.limits.maxStorageBufferBindingSize >= 2 ** 27);
  assertEquals(deno.version, Deno.version.deno);
  assertMatch(deno.pinned, /^\d+\.\d+\.\d+$/);
  assertEquals(images.formats, ["jpeg", "png"]);
  const named: string[] = kernels.map(({ kernel }: { kernel: string }) => kernel);
  assert(named.some((kernel) => kernel.includes("weight_gradient")), named.join(" "));
});

Deno.test("doctor for people", async () => {
  const { status, out } = await task({}, "doctor");
  assertEquals(status, 0);
  assertMatch(out, /^adapter +\S/m);
  assertMatch(out, /^limits +maxStorageBufferBindingSize \d+$/m);
  assertMatch(out, /^kernels +convolution/m);
  assertMatch(out, /\nNothing is missing\.\n$/);
});

/** Takes Vulkan away: what Deno then offers is OpenGL's adapter, or none. */
const withoutVulkan = { VK_ICD_FILENAMES: "/nonexistent", VK_DRIVER_FILES: "/nonexistent" };
const onLinux = Deno.build.os === "linux";

Deno.test({
  name: "without a Vulkan driver doctor ends with 1, and says why and what to do",
  ignore: !onLinux,
  async fn() {
    const { status, out } = await task(withoutVulkan, "doctor", "--json");
    const { usable, adapter, kernels, vulkan, problems, images } = JSON.parse(out);
    assertEquals([status, usable, adapter, kernels], [1, false, null, []]);
    assertEquals(vulkan.overrides, withoutVulkan);
    assertStringIncludes(problems[0].what, "no Vulkan driver answers");
    assertStringIncludes(problems[0].mend, "./setup");
    assertStringIncludes(problems[1].what, 'VK_DRIVER_FILES="/nonexistent"');
    assertEquals(images.formats, ["jpeg", "png"], "the rest is still looked at");
    const people = await task(withoutVulkan, "doctor");
    assertEquals(people.status, 1);
    assertMatch(people.out, /^adapter +none$/m);
  },
});

Deno.test({
  name: "the commands refuse a machine without a Vulkan driver, and OpenGL, with what to do",
  ignore: !onLinux,
  async fn() {
    const run = await Deno.makeTempDir({ prefix: "scion-test-" });
    try {
      for (const env of [withoutVulkan, { ...withoutVulkan, DENO_WEBGPU_BACKEND: "gl" }]) {
        const { status, out, err } = await task(env, "pretrain", "--epochs", "0", "--out", `${run}/run`);
        assertEquals([status, out], [1, ""]);
        assertMatch(err, /^error: .*no Vulkan driver answers.*\.\/setup.*deno task doctor/m);
        assert(!err.includes("    at "), err);
      }
    } finally {
      await Deno.remove(run, { recursive: true });
    }
  },
});
