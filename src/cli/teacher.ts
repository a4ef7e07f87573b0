/** What commands say of a teacher: its flag, its settings, the path that nothing may be written over. */
import { contrastWeight, hasQueue, parseTeacher } from "../config/objective.ts";
import type { Config } from "../config/schema.ts";
import { UsageError } from "../errors.ts";
import { formatCount } from "./format.ts";

/** `--teacher`. */
export const teacherFlag = {
  type: "string",
  placeholder: "SPEC",
  description:
    "Learn the features of a network that exists: features:FILE.safetensors, a row an image as embed writes them; " +
    "model:FILE.onnx, run once over all images; or self, the network that the run begins with. Alone, or with --set " +
    "distillation.moco=1 beside momentum contrast",
} as const;

/**
 * Refuses a network that would teach itself what nobody taught it.
 * @throws {UsageError} for `self` of a run with new weights
 */
export function expectTaughtSelf(
  { distillation: { teacher }, initialisation: { weights } }: Pick<Config, "distillation" | "initialisation">,
): void {
  if (teacher !== "self" || weights !== null) return;
  throw new UsageError(
    "--teacher self (distillation.teacher) needs --init FILE: with new weights, the network that the run begins with has " +
      "nothing to teach.",
  );
}

/** The file of a teacher; undefined where there is none. */
export function teacherPath({ distillation: { teacher } }: Pick<Config, "distillation">): string | undefined {
  const spec = teacher === null ? undefined : parseTeacher(teacher);
  return spec && "path" in spec ? spec.path : undefined;
}

/** What a run learns from, for its report. */
export function objectiveSettings(config: Config): [string, string][] {
  const { moco, distillation: { teacher, weight, dimension } } = config;
  const taught: [string, string][] = teacher === null ? [] : [
    ["teacher", dimension === null ? teacher : `${teacher}, ${formatCount(dimension)} features`],
    ...(hasQueue(config)
      ? [
        ["weight of the teacher, of momentum contrast", `${weight}, ${contrastWeight(config)}`] as [
          string,
          string,
        ],
      ]
      : []),
  ];
  const average: [string, string] = ["key encoder momentum", String(moco.momentum)];
  if (!hasQueue(config)) return [...taught, average];
  return [
    ...taught,
    ["queue", formatCount(moco.queue)],
    average,
    ["temperature", String(moco.temperature)],
    ["key encoder", moco.teacher === "largest" ? "largest architecture" : "the query's architecture"],
  ];
}

/** What a run's loss is. */
export function lossName(config: Config): string {
  if (config.distillation.teacher === null) return "InfoNCE loss";
  return hasQueue(config) ? "weighted sum of the losses" : "1 - cosine to the teacher";
}
