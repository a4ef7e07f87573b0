/** What the adapter is and can do. */
import { wantedLimits } from "../gpu/device.ts";
import { graphicsSystem } from "../host/adapter.ts";
import type { Gpu } from "../gpu/device.ts";

/** The adapter, in words and numbers. */
export interface AdapterReport {
  readonly description: string;
  readonly vendor: string;
  /** Graphics system behind WebGPU. */
  readonly backend: string;
  /** The driver runs shaders on the CPU. */
  readonly software: boolean;
  /** Sizes of a subgroup, and the number that kernels rely on; 0 where it is not fixed or operations do not work. */
  readonly subgroups: { readonly least: number; readonly most: number; readonly lanes: number };
  readonly timestamps: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

/** Vendors by PCI id, or Khronos' number for Mesa. */
const vendors: Readonly<Record<number, string>> = {
  0x1002: "AMD",
  0x1010: "Imagination",
  0x106b: "Apple",
  0x10de: "NVIDIA",
  0x13b5: "ARM",
  0x1414: "Microsoft",
  0x5143: "Qualcomm",
  0x8086: "Intel",
  0x10005: "Mesa",
};

/** Deno gives the vendor's number as a decimal text. */
function vendorName(text: string): string {
  const id = Number(text);
  if (!Number.isInteger(id) || id === 0) return text || "unknown";
  return `${vendors[id] ?? "unknown"} (0x${id.toString(16)})`;
}

/** Describes an adapter and the device that it gave. */
export function describeAdapter({ info, features, limits }: GPUAdapter, { facts }: Gpu): AdapterReport {
  return {
    description: facts.description,
    vendor: vendorName(facts.vendor),
    backend: graphicsSystem,
    software: facts.software,
    subgroups: { least: info.subgroupMinSize, most: info.subgroupMaxSize, lanes: facts.subgroupLanes },
    timestamps: facts.timestamps,
    features: [...features].sort(),
    limits: Object.fromEntries(wantedLimits.map((name) => [name, limits[name]])),
  };
}
