/** What Linux has of Vulkan: the loader, the installed drivers, and variables that hide them. */
import type { Problem } from "./problem.ts";

/** What is installed. */
export interface VulkanReport {
  /** The loader library (libvulkan.so.1) is in one of the usual folders. */
  readonly loader: boolean;
  /** Manifests of drivers, e.g. `lvp_icd.x86_64.json`; one is also there for hardware that is not. */
  readonly drivers: readonly string[];
  /** Variables that replace the loader's search for drivers. */
  readonly overrides: Readonly<Record<string, string>>;
}

const libraryFolders = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/usr/local/lib",
  "/lib",
];
const driverFolders = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
const overrideNames = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function listIfThere(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch {
    return [];
  }
}

function readVariable(name: string): string | undefined {
  if (Deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") return undefined;
  return Deno.env.get(name);
}

/** Looks at the usual places; undefined on systems without Vulkan. */
export async function inspectVulkan(): Promise<VulkanReport | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const loaders = await Promise.all(libraryFolders.map((folder) => exists(`${folder}/libvulkan.so.1`)));
  const drivers = (await Promise.all(driverFolders.map(listIfThere))).flat().filter((name) =>
    name.endsWith(".json")
  );
  const overrides = overrideNames.map((name) => [name, readVariable(name)] as const)
    .filter((entry): entry is [string, string] => Boolean(entry[1]));
  const backend = readVariable("DENO_WEBGPU_BACKEND");
  if (backend && backend !== "vulkan") overrides.push(["DENO_WEBGPU_BACKEND", backend]);
  return {
    loader: loaders.includes(true),
    drivers: drivers.sort(),
    overrides: Object.fromEntries(overrides),
  };
}

/** Why no driver may answer, most likely cause first. */
export function explainSilence({ loader, drivers, overrides }: VulkanReport): Problem {
  const hiding = Object.entries(overrides);
  if (hiding.length > 0) {
    return {
      what: `what Vulkan finds is restricted: ${
        hiding.map(([name, value]) => `${name}="${value}"`).join(", ")
      }`,
      mend: `Unset ${hiding.map(([name]) => name).join(" and ")}, or correct the value.`,
    };
  }
  if (drivers.length === 0) {
    return {
      what: `no Vulkan driver is installed (looked in ${driverFolders.join(", ")})`,
      mend:
        "Run ./setup, or install your GPU's Vulkan driver; Mesa's (package mesa-vulkan-drivers) has one for the CPU.",
    };
  }
  if (!loader) {
    return {
      what: "the Vulkan loader (libvulkan.so.1) is not in the usual folders",
      mend:
        "Run ./setup, or install the package libvulkan1 (Fedora, Arch: vulkan-loader or vulkan-icd-loader).",
    };
  }
  return {
    what: `none of the installed Vulkan drivers has a device here: ${drivers.join(", ")}`,
    mend: '"vulkaninfo" from the package vulkan-tools says why. Mesa\'s driver for the CPU is lvp_icd ' +
      "(package mesa-vulkan-drivers).",
  };
}
