/** Finding the system's adapter under Deno: through the one graphics system per platform that the kernels are made for. */
import { GpuError } from "../errors.ts";
import { type AssumedFacts, Gpu } from "../gpu/device.ts";

/** The graphics system behind WebGPU here. */
export const graphicsSystem = { linux: "Vulkan", darwin: "Metal", windows: "DirectX 12" }[
  Deno.build.os as string
] ?? "Vulkan";

/** How to get an adapter where there is none. */
export const adapterRemedy = Deno.build.os === "linux"
  ? 'Debian and Ubuntu: "sudo apt install libvulkan1 mesa-vulkan-drivers" installs a software driver, as ./setup of a ' +
    "clone does; elsewhere install your GPU's Vulkan driver, or Mesa's, and the Vulkan loader."
  : "Update the system or its GPU driver.";

const noAdapter = `no WebGPU adapter was found: no ${graphicsSystem} driver answers on this machine` +
  (Deno.build.os === "linux" ? " (OpenGL is not used: the kernels are not made for it)" : "");

const openGlAdapter =
  `Deno offers an OpenGL adapter, and the kernels are not made for OpenGL: no ${graphicsSystem} ` +
  "driver answers on this machine, or DENO_WEBGPU_BACKEND asks for another system";

/** Sets an environment variable that has no value, where the permissions allow it. */
function setDefault(name: string, value: string): void {
  if (Deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") return;
  if (!Deno.env.get(name)) Deno.env.set(name, value);
}

function prepareEnvironment(): void {
  // wgpu's display back ends print an error when this is unset, although nothing is ever displayed.
  setDefault("XDG_RUNTIME_DIR", Deno.build.os === "windows" ? "C:\\Windows\\Temp" : "/tmp");
  // Else Deno may take OpenGL's adapter, even before Vulkan's when that one is a software driver. And it would load
  // libEGL, whose clean-up at the process's exit frees what a thread that ends at that moment frees, too: about one
  // test process in a hundred was aborted there ("double free", "corrupted double-linked list").
  if (Deno.build.os === "linux") setDefault("DENO_WEBGPU_BACKEND", "vulkan");
}

/**
 * Whether this is an OpenGL adapter, which Deno does not say. wgpu names fixed subgroup sizes for these, and has neither
 * of two features there that it has on Vulkan.
 */
function isOpenGl({ info, features }: GPUAdapter): boolean {
  return info.subgroupMinSize === 4 && info.subgroupMaxSize === 128 && !features.has("shader-f16") &&
    !features.has("bgra8unorm-storage");
}

/** The system's adapter; or, as a clause, why there is none that can be used. */
export async function findAdapter(): Promise<GPUAdapter | string> {
  prepareEnvironment();
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return noAdapter;
  return isOpenGl(adapter) ? openGlAdapter : adapter;
}

/** Asks the system for its adapter. Throws {@linkcode GpuError} when there is none, or only OpenGL's. */
export async function requestAdapter(): Promise<GPUAdapter> {
  const found = await findAdapter();
  if (typeof found !== "string") return found;
  throw new GpuError(`${found}. ${adapterRemedy} 'deno task doctor' shows what is there.`);
}

/**
 * Opens the system's adapter with its own limits.
 *
 * @param assumed see {@linkcode AssumedFacts}
 * @throws {GpuError} when there is none, or only OpenGL's
 */
export async function openGpu(assumed: AssumedFacts = {}): Promise<Gpu> {
  return await Gpu.request(await requestAdapter(), assumed);
}
