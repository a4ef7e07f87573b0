/** The flags of `deno task extract`, and what they say together. */
import { basename } from "@std/path";
import { UsageError } from "../errors.ts";
import type { Budgets, RankedChoice } from "../extract/ranked_choice.ts";
import { dataFlag } from "./data_flag.ts";
import { encoderFlag } from "./encoder_flag.ts";
import type { FlagValues } from "./flags.ts";
import { parseRange, parseTimeRange } from "./range.ts";
import { checkpointFlag } from "./run_checkpoint.ts";

/** Formats of an extracted model, which are also the files' endings. */
export const formats = ["safetensors", "onnx"] as const;

export const extractFlags = {
  run: { type: "string", placeholder: "DIR", required: true, description: "Run folder of a pretraining" },
  checkpoint: checkpointFlag,
  encoder: encoderFlag,
  arch: {
    type: "strings",
    placeholder: "ARCH",
    description: "Architecture: max, min, a name from the configuration, or an id such as " +
      "64-64.128.256.512-3.4.6.3; with several, --out is a folder",
  },
  from: {
    type: "string",
    placeholder: "FILE",
    description:
      "A search's ranking.json to choose from with one of the next four flags (default: search/ranking.json in the run " +
      "folder)",
  },
  best: {
    type: "boolean",
    description:
      "The ranked architecture with the highest score within --macs, --params and --latency; or what the search preferred " +
      "to it",
  },
  top: {
    type: "integer",
    placeholder: "N",
    minimum: 1,
    description: "The N with the highest scores of all; with --best-per-group the N best of each group",
  },
  bestPerGroup: {
    type: "boolean",
    description: "The best of each group of MACs, by what the search preferred",
  },
  frontier: { type: "boolean", description: "All that score higher than every cheaper one" },
  macs: {
    type: "string",
    placeholder: "FROM..TO",
    description: "Only ranked architectures within these MACs, e.g. ..3M or 2M..3M",
  },
  params: {
    type: "string",
    placeholder: "FROM..TO",
    description: "Only ranked architectures within these parameters, e.g. ..1M",
  },
  latency: {
    type: "string",
    placeholder: "FROM..TO",
    description:
      "Only ranked architectures that were measured to take this long for a single image, e.g. ..5ms",
  },
  out: {
    type: "string",
    placeholder: "FILE",
    required: true,
    description: "File to write, ending in .safetensors or .onnx; or a folder",
  },
  format: {
    type: "string",
    choices: formats,
    description: "What is written into a folder (default: safetensors)",
  },
  loader: {
    type: "boolean",
    description:
      "Also write load_NAME.py beside each .safetensors: a PyTorch module that builds the network, loads the " +
      "weights and prepares images, and needs nothing but torch",
  },
  data: dataFlag("Unlabelled images to take batchnorm statistics from", "the run's training images"),
  calibrate: {
    type: "integer",
    placeholder: "N",
    minimum: 0,
    default: 2048,
    description:
      "Number of these images; 0 keeps the running statistics of pretraining, a mixture over architectures",
  },
} as const;

/** Values of {@linkcode extractFlags}. */
export type ExtractFlags = FlagValues<typeof extractFlags>;

/** What is taken from a ranking; undefined where `--arch` names what is cut out. */
export function rankedChoice(
  { best, top, bestPerGroup, frontier }: Pick<ExtractFlags, "best" | "top" | "bestPerGroup" | "frontier">,
): RankedChoice | undefined {
  if (best) return { kind: "best" };
  if (frontier) return { kind: "frontier" };
  if (bestPerGroup) return { kind: "perGroup", count: top ?? 1 };
  return top === undefined ? undefined : { kind: "top", count: top };
}

/** The budgets that flags set. Throws {@linkcode UsageError} for ranges that are none. */
export function budgetsOf({ macs, params, latency }: ExtractFlags): Budgets {
  return {
    ...(macs === undefined ? {} : { macs: parseRange("--macs", macs) }),
    ...(params === undefined ? {} : { params: parseRange("--params", params) }),
    ...(latency === undefined ? {} : { latency: parseTimeRange("--latency", latency) }),
  };
}

const choices = "--best, --top N, --best-per-group or --frontier";

function checkChoice(flags: ExtractFlags): void {
  const { arch, from, best, top, bestPerGroup, frontier, macs, params, latency } = flags;
  const budget = [macs, params, latency].some((range) => range !== undefined);
  const given = [
    ...(best ? ["--best"] : []),
    ...(bestPerGroup ? ["--best-per-group"] : top === undefined ? [] : ["--top"]),
    ...(frontier ? ["--frontier"] : []),
  ];
  if (given.length > 1 || (given.length === 1 && top !== undefined && (best || frontier))) {
    const all = top !== undefined && !given.includes("--top") ? [...given, "--top"] : given;
    throw new UsageError(`${all.join(" and ")} are given. Give one of them.`);
  }
  if (arch.length > 0) {
    const other = from !== undefined ? "--from" : given[0];
    if (other !== undefined) throw new UsageError(`--arch and ${other} are given. Give one of them.`);
    if (budget) {
      throw new UsageError(
        `--macs, --params and --latency choose from a ranking, but --arch is given. Leave them out, or give ${choices} in place ` +
          "of --arch.",
      );
    }
    return;
  }
  if (given.length === 1) return;
  if (from !== undefined || budget) {
    const flag = from !== undefined
      ? "--from"
      : macs !== undefined
      ? "--macs"
      : params !== undefined
      ? "--params"
      : "--latency";
    throw new UsageError(`${flag} needs ${choices}, which says what to take from the ranking.`);
  }
  throw new UsageError(
    `--arch ARCH is missing: give the architecture to cut out, or ${choices} to choose from a ranking.`,
  );
}

/**
 * Checks the flags against each other. Says whether one file or a folder of them is written.
 *
 * @throws {UsageError} naming the flags that do not go together
 */
export function checkExtractFlags(flags: ExtractFlags): "file" | "folder" {
  const { arch, best, out, format, loader, data, calibrate } = flags;
  checkChoice(flags);
  budgetsOf(flags);
  if (calibrate === 1) {
    throw new UsageError(
      "--calibrate cannot be 1: batchnorm statistics need at least 2 images; 0 takes none.",
    );
  }
  if (calibrate === 0 && data.length > 0) {
    throw new UsageError("--data is given, but --calibrate 0 uses no images. Leave one of them out.");
  }
  const ending = formats.find((name) => out.endsWith(`.${name}`));
  if (loader && (ending ?? format) === "onnx") {
    throw new UsageError(
      "--loader is for .safetensors; an .onnx file holds its network. Leave one of them out.",
    );
  }
  if (!best && arch.length !== 1) {
    if (ending === undefined) return "folder";
    throw new UsageError(
      `--out ${out} is a file name, but several architectures are asked for. Give a folder.`,
    );
  }
  if (ending === undefined) {
    // One of a ranking may also go where several do; what looks like a file is not taken for a folder.
    if (best && !basename(out).includes(".")) return "folder";
    throw new UsageError(`--out ${out} has an unknown ending. Allowed: .safetensors, .onnx.`);
  }
  if (format !== undefined && format !== ending) {
    throw new UsageError(
      `--format ${format} contradicts --out ${out}. Leave --format out for a single file.`,
    );
  }
  return "file";
}
