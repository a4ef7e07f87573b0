/** `deno task compare`: elastic networks against networks pretrained alone. */
import { join } from "@std/path";
import { parseSet } from "../config/overrides.ts";
import { formatDuration } from "../duration.ts";
import { formatPoints } from "../number_format.ts";
import { renderCompareReport } from "../report/compare_report.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { compare, type ComparedRow, withoutRight } from "../studies/compare/compare.ts";
import { loadComparison } from "../studies/compare/definition.ts";
import { readComparison, saveComparison } from "../studies/compare/saved.ts";
import {
  type ComparedMethod,
  type Difference,
  type OverSeeds,
  summarise,
  summariseCurve,
} from "../studies/compare/summary.ts";
import { protocolNames, protocols } from "../studies/judge.ts";
import { version } from "../version.ts";
import { type Context, defineCommand, runCommand } from "./command.ts";
import { configFlags } from "./config_flags.ts";
import { dataFlag, givenData } from "./data_flag.ts";
import { openDevice } from "./device.ts";
import { counted, formatShare, formatTable } from "./format.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { compareOutput, dataPaths, guardOutputFolder } from "./output_guard.ts";
import { studyHooks } from "./study_hooks.ts";

interface CompareResult {
  readonly rows: readonly ComparedRow[];
  /** Along pretraining, where the comparison asks for it. */
  readonly curve: readonly ComparedRow[];
  /** Means over seeds, and differences to the first method. */
  readonly methods: readonly ComparedMethod[];
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
  data: dataFlag("Labelled images", "the configuration's"),
  set: { ...configFlags.set, description: "Replace one field of the configuration, for all methods" },
  out: {
    type: "string",
    placeholder: "DIR",
    description:
      "Folder of the results and of all runs (default: runs/ and the comparison's name); runs that are done there are " +
      "not done again",
  },
} as const;

const fileNames = ["comparison.json", "report.html"] as const;

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
    "deno task compare --config configs/compare-cifar10.json --data cifar10/train",
  ],
  run,
  format: formatResult,
});

async function run({ flags, logger, onInterrupt }: Context<typeof compareFlags>): Promise<CompareResult> {
  const data = givenData(flags.data);
  const comparison = await loadComparison(flags.config, [
    ...data === undefined ? [] : [{ path: "data.source", value: data, flag: "--data" }],
    ...flags.set.map(parseSet),
  ]);
  const out = flags.out ?? join("runs", flags.config.replace(/^.*[\\/]/, "").replace(/\.json$/, ""));
  await guardOutputFolder(out, compareOutput, fileNames, [flags.config, ...dataPaths(data)]);
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "compare.lock"), (text) => logger.warn(text));
  const file = join(out, fileNames[0]), report = join(out, fileNames[1]);
  using gpu = await openDevice(logger);
  const signal = onInterrupt("Stopping; what is done is kept. The same command goes on.");
  gpu.stream.interrupt = signal;
  const found = await compare(gpu, comparison, ({ name }) => join(out, name), await readComparison(file), {
    signal,
    onWarning: (text) => logger.warn(text),
    onRun: ({ name }, number, of) => studyHooks(logger, signal, `${name} (${number + 1} of ${of})`),
    onJudging: ({ name, sizes }, epoch) =>
      logger.info(`${name}: judging ${counted(sizes.length, "size")} after ${counted(epoch, "epoch")}`),
    onJudged: (found) => saveComparison(file, found, []),
  });
  const methods = summarise(found.rows);
  await saveComparison(file, found, methods);
  await writeFileAtomically(
    report,
    await renderCompareReport({
      title: out,
      version,
      device: gpu.facts.description,
      config: flags.config,
      methods,
      curve: summariseCurve(found.curve),
    }),
  );
  return { rows: found.rows.map(withoutRight), curve: found.curve, methods, file, report };
}

function formatResult({ methods, file, report }: CompareResult): string {
  const [first, ...others] = methods;
  const compared = others.length > 0;
  const rows = first.cells.flatMap(({ size }, at) =>
    methods.map(({ method, cells, seconds, runs }) => {
      const { accuracy, difference } = cells[at];
      return [
        size,
        method,
        ...protocols.flatMap((protocol) => [
          formatOverSeeds(accuracy[protocol]),
          ...(compared ? [difference ? formatDifference(difference[protocol]) : ""] : []),
        ]),
        runs > 1 ? `${formatDuration(seconds)} (${runs} runs)` : formatDuration(seconds),
      ];
    })
  );
  const columns = protocols.flatMap((protocol) => [
    protocolNames[protocol],
    ...(compared ? [`over ${first.method}`] : []),
  ]);
  return [
    formatTable(
      [["size", "method", ...columns, "time of a seed"], ...rows],
      "ll" + "r".repeat(columns.length + 1),
    ),
    "",
    "In brackets: every seed." +
    (compared ? " Behind ±: the standard error over test images, of the same networks." : ""),
    file,
    report,
  ].join("\n");
}

function formatOverSeeds({ mean, values }: OverSeeds): string {
  return `${formatShare(mean)} (${values.map((value) => (100 * value).toFixed(1)).join(", ")})`;
}

/** In percentage points. */
function formatDifference({ mean, standardError }: Difference): string {
  return `${formatPoints(mean)} ± ${(100 * standardError).toFixed(1)}`;
}

if (import.meta.main) await runCommand(compareCommand);
