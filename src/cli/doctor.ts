/** `deno task doctor`: what this machine has, what is missing, and how to mend it. */

import { type AdapterReport, describeAdapter } from "../doctor/adapter.ts";
import { type CheckedKernel, tryKernels } from "../doctor/kernels.ts";
import { adviseMesa, readSystemFiles } from "../doctor/mesa.ts";
import type { Problem } from "../doctor/problem.ts";
import { type DenoReport, type ImageReport, inspectDeno, inspectImages } from "../doctor/runtime.ts";
import { explainSilence, inspectVulkan, type VulkanReport } from "../doctor/vulkan.ts";
import { GpuError } from "../errors.ts";
import { adapterRemedy, findAdapter } from "../host/adapter.ts";
import { openGpu } from "../host/adapter.ts";
import { readTuning } from "../tuning/tuning_file.ts";
import { version } from "../version.ts";
import { defineCommand, runCommand } from "./command.ts";
import { formatTable } from "./format.ts";
import { wrap } from "./help.ts";

interface DoctorReport {
  /** The adapter is there and computes rightly. */
  readonly usable: boolean;
  readonly scion: string;
  readonly system: string;
  readonly deno: DenoReport;
  readonly images: ImageReport;
  /** On Linux. */
  readonly vulkan?: VulkanReport;
  /** Null when there is none that can be used. */
  readonly adapter: AdapterReport | null;
  /** Variants of the convolution kernels that run on this device. */
  readonly kernels: readonly CheckedKernel[];
  /** Variants that a tuning chose, by kind of launch; all others are the defaults. */
  readonly tuning: DeviceTuning;
  readonly problems: readonly Problem[];
  /** What would be faster; nothing is wrong without it. */
  readonly advice: readonly Problem[];
}

interface DeviceTuning {
  /** Where they are kept; null without an adapter. */
  readonly file: string | null;
  readonly choices: Readonly<Record<string, string>>;
  /** Why a file that is there is not used. */
  readonly fault?: string;
}

/** Opens the adapter and tries the kernels; what goes wrong is added to the problems. */
async function inspectGpu(
  vulkan: VulkanReport | undefined,
  problems: Problem[],
): Promise<Pick<DoctorReport, "usable" | "adapter" | "kernels" | "tuning">> {
  const found = await findAdapter();
  if (typeof found === "string") {
    problems.push({ what: found, mend: adapterRemedy });
    if (vulkan) problems.push(explainSilence(vulkan));
    return { usable: false, adapter: null, kernels: [], tuning: { file: null, choices: {} } };
  }
  using gpu = await openGpu();
  const adapter = describeAdapter(found, gpu);
  const { path, choices, fault } = await readTuning(gpu);
  const tuning = { file: path, choices: Object.fromEntries(choices), ...(fault ? { fault } : {}) };
  gpu.tuning.use(choices);
  try {
    return { usable: true, adapter, kernels: await tryKernels(gpu), tuning };
  } catch (error) {
    if (!(error instanceof GpuError)) throw error;
    problems.push({
      what: `the adapter does not run the kernels: ${error.message}`,
      mend: `Update its driver. ${adapterRemedy}`,
    });
    return { usable: false, adapter, kernels: [], tuning };
  }
}

function describeVariant({ kernel, constants }: CheckedKernel): string {
  const parts = Object.entries(constants).map(([name, value]) => `${name} ${value}`);
  return [kernel, ...parts].join("  ");
}

function describeSubgroups({ least, most, lanes }: AdapterReport["subgroups"]): string {
  if (lanes > 0) return `${lanes} lanes`;
  return least === most ? `${least} lanes, not usable` : `${least} to ${most} lanes, not fixed: not used`;
}

/** One line a kind of launch, or that the defaults are used. */
function describeTuning({ file, choices, fault }: DeviceTuning): string[] {
  if (fault !== undefined) return [fault];
  const chosen = Object.entries(choices);
  if (chosen.length === 0) {
    return ['none: the default kernel variants are used; "deno task tune" measures them'];
  }
  const rows = chosen.map(([bucket, name]) => [bucket, name]);
  return [`${chosen.length} kinds of launches in ${file}`, ...formatTable(rows, "ll").split("\n")];
}

/** Lines below each other, the first behind a label. */
function labelled(label: string, lines: readonly string[]): [string, string][] {
  return lines.map((line, at) => [at === 0 ? label : "", line]);
}

function formatReport(report: DoctorReport): string {
  const { scion, system, deno, images, vulkan, adapter, kernels, tuning, problems, advice } = report;
  const rows: [string, string][] = [
    ["Scion", `${scion} on ${system}`],
    ["Deno", `${deno.version} (pinned: ${deno.pinned})`],
    [
      "images",
      images.sharp
        ? `sharp ${images.sharp}, libvips ${images.libvips}: ${images.formats.join(", ")}`
        : "none",
    ],
  ];
  if (vulkan) rows.push(["Vulkan drivers", vulkan.drivers.join(", ") || "none installed"]);
  rows.push(["adapter", adapter ? adapter.description : "none"]);
  if (adapter) {
    rows.push(
      ["", adapter.software ? "a software driver: shaders run on the CPU" : "a GPU"],
      ["vendor", adapter.vendor],
      ["back end", adapter.backend],
      ["subgroups", describeSubgroups(adapter.subgroups)],
      ["timestamps", adapter.timestamps ? "yes" : "no: --profile does not work"],
      ...labelled("features", wrap(adapter.features.join(" "), 80)),
      ...labelled("limits", Object.entries(adapter.limits).map(([name, value]) => `${name} ${value}`)),
      ...labelled("kernels", kernels.map(describeVariant)),
      ...labelled("tuning", describeTuning(tuning)),
    );
  }
  const told = (label: string, { what, mend }: Problem) =>
    `${label}: ${what}.\n${mend.split("\n").map((line) => `  ${line}`).join("\n")}`;
  const found = problems.map((problem) => told("Problem", problem));
  return [
    formatTable(rows, "ll"),
    "",
    ...advice.map((faster) => told("Faster", faster)),
    ...(found.length > 0 ? found : ["Nothing is missing."]),
  ].join("\n");
}

/** The command; exported for its tests. */
export const doctorCommand = defineCommand({
  name: "doctor",
  summary:
    "Shows the adapter and what it can do, tries the kernels on it, tells which variants run, and says what is " +
    "missing and how to mend it. Ends with 1 when there is no usable adapter.",
  flags: {},
  examples: ["deno task doctor", "deno task doctor --json"],
  async run(): Promise<DoctorReport> {
    const problems: Problem[] = [];
    const vulkan = await inspectVulkan();
    const gpu = await inspectGpu(vulkan, problems);
    const faster = adviseMesa(await readSystemFiles(), gpu.adapter?.software ?? false);
    return {
      ...gpu,
      scion: version,
      system: `${Deno.build.os} ${Deno.build.arch}`,
      deno: inspectDeno(problems),
      images: await inspectImages(problems),
      ...(vulkan ? { vulkan } : {}),
      problems,
      advice: faster ? [faster] : [],
    };
  },
  exitCode: ({ usable }) => usable ? 0 : 1,
  format: formatReport,
});

if (import.meta.main) await runCommand(doctorCommand);
