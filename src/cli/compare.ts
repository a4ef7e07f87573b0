/** `deno task compare`: elastic networks against networks pretrained alone. */
import { join } from "@std/path";
import { z } from "zod";
import { formatDuration } from "../duration.ts";
import { DataError } from "../errors.ts";
import { renderCompareReport } from "../report/compare_report.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { compare, type ComparedRow } from "../studies/compare/compare.ts";
import { loadComparison } from "../studies/compare/definition.ts";
import { summarise } from "../studies/compare/summary.ts";
import { version } from "../version.ts";
import { type Context, defineCommand, runCommand } from "./command.ts";
import { openDevice } from "./device.ts";
import { formatShare, formatTable } from "./format.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { compareOutput, guardOutputFolder } from "./output_guard.ts";
import { studyHooks } from "./study_hooks.ts";

interface CompareResult {
  readonly rows: readonly ComparedRow[];
  readonly file: string;
  readonly report: string;
}

const compareFlags = {
  config: {
    type: "string",
    placeholder: "FILE",
    default: "configs/compare-demo.json",
    description: "What is compared: a configuration, methods, sizes, seeds",
  },
  out: {
    type: "string",
    placeholder: "DIR",
    description:
      "Folder of the results and of all runs (default: runs/ and the comparison's name); runs that are done there are " +
      "not done again",
  },
} as const;

const fileNames = ["comparison.json", "report.html"] as const;

const row = z.object({
  method: z.string(),
  size: z.string(),
  arch: z.string(),
  macs: z.number(),
  seed: z.number(),
  run: z.string(),
  knn: z.number(),
  seconds: z.number(),
});

/** The command; exported for its tests. */
export const compareCommand = defineCommand({
  name: "compare",
  summary:
    "Compares ways of pretraining at the same sizes, epochs and images: one elastic network, as often as there are " +
    "variants of it, and each size pretrained alone. Run again after an interrupt, it goes on.",
  flags: compareFlags,
  examples: [
    "deno task compare",
    "deno task compare --config configs/compare-demo.json --out runs/comparison",
  ],
  run,
  format: formatResult,
});

async function run({ flags, logger, onInterrupt }: Context<typeof compareFlags>): Promise<CompareResult> {
  const comparison = await loadComparison(flags.config);
  const out = flags.out ?? join("runs", flags.config.replace(/^.*[\\/]/, "").replace(/\.json$/, ""));
  await guardOutputFolder(out, compareOutput, fileNames, [flags.config]);
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "compare.lock"), (text) => logger.warn(text));
  const file = join(out, fileNames[0]), report = join(out, fileNames[1]);
  using gpu = await openDevice(logger);
  const signal = onInterrupt("Stopping; what is done is kept. The same command goes on.");
  gpu.stream.interrupt = signal;
  const rows = await compare(
    gpu,
    comparison,
    ({ name }) => join(out, name),
    await knownRows(file),
    {
      signal,
      onRun: ({ name }, number, of) => studyHooks(logger, signal, `${name} (${number + 1} of ${of})`),
      onRows: (rows) => writeFileAtomically(file, JSON.stringify({ version, rows }, null, 1) + "\n"),
    },
  );
  await writeFileAtomically(
    report,
    await renderCompareReport({
      title: out,
      version,
      device: gpu.facts.description,
      config: flags.config,
      methods: summarise(rows),
    }),
  );
  return { rows, file, report };
}

async function knownRows(path: string): Promise<ComparedRow[]> {
  const text = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (text === undefined) return [];
  try {
    return z.object({ rows: z.array(row) }).parse(JSON.parse(text)).rows;
  } catch (cause) {
    throw new DataError(`${path} is damaged. Remove it: the runs beside it are judged again.`, { cause });
  }
}

function formatResult({ rows, file, report }: CompareResult): string {
  const methods = summarise(rows);
  const percent = (mean: number, values: readonly number[]) =>
    `${formatShare(mean)} (${values.map((value) => (100 * value).toFixed(1)).join(", ")})`;
  const [{ cells }] = methods;
  return [
    formatTable([
      ["kNN", ...cells.map(({ size }) => size), "time of a seed"],
      ...methods.map(({ method, cells, seconds }) => [
        method,
        ...cells.map(({ mean, knn }) => percent(mean, knn)),
        formatDuration(seconds),
      ]),
    ], "l" + "r".repeat(cells.length + 1)),
    "",
    file,
    report,
  ].join("\n");
}

if (import.meta.main) await runCommand(compareCommand);
