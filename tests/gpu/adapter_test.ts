import { assertEquals, assertStringIncludes } from "@std/assert";

const adapter = new URL("../../src/host/adapter.ts", import.meta.url).href;

/** Opens the device and prints its libraries, or why there is none. */
const program = `
  const { openGpu } = await import("${adapter}");
  try {
    using gpu = await openGpu();
    console.log(gpu.facts.description, Deno.readTextFileSync("/proc/self/maps"));
  } catch (error) {
    console.log(error.name, error.message);
  }
`;

async function open(permission: "--allow-all" | "--allow-read", env: Record<string, string>) {
  const args = ["run", "--quiet", "--no-prompt", permission, "--ext=ts", "-"];
  const process = new Deno.Command("deno", { args, env, stdin: "piped", stdout: "piped", stderr: "null" })
    .spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(program));
  await writer.close();
  return new TextDecoder().decode((await process.output()).stdout);
}

const linuxTest = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn });

linuxTest("opening the device loads Vulkan and leaves OpenGL's libraries alone", async () => {
  const output = await open("--allow-all", { DENO_WEBGPU_BACKEND: "" });
  assertStringIncludes(output, "libvulkan");
  // libEGL's clean-up at exit aborts a process now and then.
  assertEquals(/libEGL|libGLX|libGL\./.exec(output), null);
});

linuxTest("an OpenGL adapter is refused, also where the process may not choose", async () => {
  const withoutVulkan = { VK_DRIVER_FILES: "/nonexistent", VK_ICD_FILENAMES: "/nonexistent" };
  const output = await open("--allow-read", { ...withoutVulkan, DENO_WEBGPU_BACKEND: "" });
  assertStringIncludes(output, "GpuError");
  assertStringIncludes(output, "no Vulkan driver answers");
});
