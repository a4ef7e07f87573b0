/** `deno task correlate`: how well scores without labels predict what subnets are worth. */
import { join } from "@std/path";
import { sourceName } from "../config/data_source.ts";
import type { Config } from "../config/schema.ts";
import { accuracies, type Analysis } from "../studies/correlate/analysis.ts";
import { correlate, type Correlated } from "../studies/correlate/correlate.ts";
import { type Protocol, protocolNames } from "../studies/judge.ts";
import { pretrained, withSeed } from "../studies/pretrained.ts";
import { readSavedCorrelation, saveCorrelation, type SavedCorrelation } from "../studies/correlate/saved.ts";
import { spreadSubnets } from "../studies/correlate/subnets.ts";
import { formatDuration } from "../duration.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { linearDefaults } from "../evaluate/linear.ts";
import { formatCorrelation, formatInterval } from "../number_format.ts";
import { UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import { renderCorrelateReport } from "../report/correlate_report.ts";
import { openSearchImages } from "../search/images.ts";
import { initialisations } from "../search/zero_cost/zero_cost.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { readDataRecord } from "../store/data_record.ts";
import { fileFingerprint } from "../store/fingerprint.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { version } from "../version.ts";
import { type Context, defineCommand, runCommand } from "./command.ts";
import { withAdvice } from "./advice.ts";
import { correlateFlags } from "./correlate_flags.ts";
import { givenData } from "./data_flag.ts";
import { openDevice } from "./device.ts";
import { formatCount, formatQuantity, formatShare, formatTable } from "./format.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { correlateOutput, dataPaths, guardOutputFolder } from "./output_guard.ts";
import { Progress } from "./progress.ts";
import { studyHooks } from "./study_hooks.ts";
import { openRunCheckpoint, type RunCheckpoint } from "./run_checkpoint.ts";

type CorrelateFlags = Context<typeof correlateFlags>["flags"];

interface CorrelateResult {
  readonly protocol: Protocol;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly subnets: readonly {
    readonly arch: string;
    readonly macs: number;
    readonly params: number;
    readonly downstream: readonly number[];
    readonly scores: Readonly<Record<string, number>>;
    readonly zeroCost: Readonly<Record<string, number>>;
  }[];
  /** JSON has null where a correlation is not a number. */
  readonly correlations: Analysis["correlations"];
  readonly ceiling: Analysis["ceiling"] | null;
  readonly seconds: number;
  readonly file: string;
  readonly report: string;
}

/** Results by each protocol have their own files: both share the runs of further seeds. */
export const correlateFileNames: Readonly<Record<Protocol, readonly [results: string, report: string]>> = {
  knn: ["correlation.json", "report.html"],
  linear: ["correlation-linear.json", "report-linear.html"],
};

/** Settings in the report, where their names are not words. */
const settingLabels: Readonly<Record<string, string>> = {
  scoredOn: "images scored",
  naswotImages: "images of NASWOT",
  initialisations: "untrained networks of each subnet",
};

const advice = {
  labels: "Give labelled images with --data and --test-data.",
};

/** The command; exported for its tests. */
export const correlateCommand = defineCommand({
  name: "correlate",
  summary:
    "Shows how well each score without labels predicts what subnets are worth: subnets spread over the range of MACs are " +
    "scored by every measure of similarity and judged on labelled images. Beside the scores stand their rivals, MACs, " +
    "parameters, the width of the last stage, and NASWOT and SynFlow of the untrained network; and, with a second seed, " +
    "how far two runs agree with each other.",
  flags: correlateFlags,
  examples: [
    "deno task correlate --run runs/demo",
    "deno task correlate --run runs/demo --subnets 108 --seeds 2",
    "deno task correlate --run runs/photos --data photos/train --test-data photos/test",
  ],
  run: (context): Promise<CorrelateResult> => withAdvice(advice, () => run(context)),
  format: formatResult,
});

async function run(context: Context<typeof correlateFlags>): Promise<CorrelateResult> {
  const { flags, logger, onInterrupt } = context;
  const checkpoint = await openRunCheckpoint(flags.run, flags.checkpoint, (text) => logger.warn(text));
  const { config } = checkpoint;
  const out = flags.out ?? join(flags.run, "correlate");
  await guardOutputFolder(out, correlateOutput, correlateFileNames[flags.protocol], [
    ...dataPaths(givenData(flags.data)),
    ...dataPaths(givenData(flags.testData)),
  ]);
  const network = configuredNetwork(config);
  const seed = config.training.seed;
  const architectures = spreadSubnets(network, flags.subnets, config.data.imageSize, seed);
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "correlate.lock"), (text) => logger.warn(text));
  const savedPath = join(out, "interrupted.json");
  const settings = await settingsOf(flags, checkpoint, architectures.map(formatArchitecture));
  const saved = await findSaved(savedPath, out, flags.resume, settings);
  using gpu = await openDevice(logger);
  const signal = onInterrupt("Stopping; what is done is saved. Go on with the same command and --resume.");
  gpu.stream.interrupt = signal;
  const begun = performance.now();
  const checkpoints = [checkpoint.path];
  for (let next = 1; next < flags.seeds; next++) {
    checkpoints.push(
      await pretrainAgain(gpu, join(out, `seed-${seed + next}`), seed + next, context, checkpoint, signal),
    );
  }
  const record = await readDataRecord(flags.run);
  const images = await openSearchImages(gpu, config, {
    source: givenData(flags.data),
    images: flags.images,
    record,
    onWarning: (text) => logger.warn(text),
  }, seed);
  let progress: Progress | undefined, done = 0;
  let found: Correlated;
  try {
    found = await correlate(gpu, {
      checkpoints,
      architectures,
      task: flags.task,
      protocol: flags.protocol,
      images,
      evaluation: evaluationOf(config, flags),
      record: flags.data.length === 0 ? record ?? undefined : undefined,
      seed,
      saved,
    }, {
      signal,
      onWarning: (text) => logger.warn(text),
      onStage(label, total, unit) {
        progress?.finish();
        progress = new Progress({ logger, label, total, unit });
        done = 0;
      },
      onPart: () => progress?.update(++done),
      save: () => saveCorrelation(savedPath, saved),
    });
    progress?.finish();
  } finally {
    images.release();
  }
  const result = resultOf(found, flags, config, out, (performance.now() - begun) / 1000);
  await writeFileAtomically(
    result.file,
    JSON.stringify({ version, ...result, seconds: undefined }, null, 1) + "\n",
  );
  await writeFileAtomically(
    result.report,
    await renderCorrelateReport({
      ...found,
      title: out,
      version,
      device: gpu.facts.description,
      protocol: flags.protocol,
      run: flags.run,
      settings: Object.entries(result.settings).map((
        [name, value],
      ) => [settingLabels[name] ?? name, String(value)]),
    }),
  );
  await Deno.remove(savedPath);
  return result;
}

/** The configuration that says which labelled images vote and which are classified. */
function evaluationOf(config: Config, { data, testData }: CorrelateFlags): Config {
  return {
    ...config,
    data: {
      ...config.data,
      source: givenData(data) ?? config.data.source,
      test: givenData(testData) ?? config.data.test,
    },
    knn: { ...config.knn, every: Math.max(1, config.knn.every) },
  };
}

async function settingsOf(
  { data, testData, task, images }: CorrelateFlags,
  { path }: RunCheckpoint,
  architectures: readonly string[],
): Promise<Record<string, string>> {
  return {
    version,
    checkpoint: await fileFingerprint(path),
    data: sourceName(givenData(data) ?? "the run's"),
    testData: sourceName(givenData(testData) ?? "the run's"),
    task,
    images: String(images),
    architectures: architectures.join(),
  };
}

async function findSaved(
  path: string,
  out: string,
  resume: boolean,
  settings: Record<string, string>,
): Promise<SavedCorrelation> {
  const saved = await readSavedCorrelation(path);
  if (!saved) return { settings, scores: {}, zeroCost: {}, right: {} };
  if (!resume) {
    throw new UsageError(
      `${out} holds an interrupted correlation. Continue it with --resume, remove ${path}, or give another --out.`,
    );
  }
  const other = Object.keys(settings).find((name) => saved.settings[name] !== settings[name]);
  if (other === undefined) return saved;
  throw new UsageError(
    `--resume: the interrupted correlation in ${out} had another ${other}. Give the same flags, or another --out.`,
  );
}

async function pretrainAgain(
  gpu: Gpu,
  path: string,
  seed: number,
  { logger }: Context<typeof correlateFlags>,
  { config }: RunCheckpoint,
  signal: AbortSignal,
): Promise<string> {
  const hooks = studyHooks(logger, signal, `pretrain, seed ${seed}`);
  const done = await pretrained(gpu, path, withSeed(config, seed), hooks);
  if (!done) throw signal.reason;
  return done.path;
}

function resultOf(
  { subnets, correlations, ceiling, bank, queries, naswotImages }: Correlated,
  { protocol, task, images, seeds }: CorrelateFlags,
  { knn }: Config,
  out: string,
  seconds: number,
): CorrelateResult {
  const downstream = Array.from({ length: seeds }, (_, seed) => accuracies(subnets, seed));
  return {
    protocol,
    settings: {
      ...(protocol === "knn"
        ? { neighbours: knn.neighbours, temperature: knn.temperature, features: knn.features }
        : {
          regularisations: linearDefaults.regularisations.join(", "),
          validation: linearDefaults.validation,
          features: "pooled",
        }),
      bank,
      queries,
      task,
      scoredOn: images,
      naswotImages,
      initialisations,
    },
    subnets: subnets.map(({ right: _, ...subnet }, at) => ({
      ...subnet,
      downstream: downstream.map((one) => one[at]),
    })),
    correlations,
    ceiling: ceiling ?? null,
    seconds: Number(seconds.toFixed(2)),
    file: join(out, correlateFileNames[protocol][0]),
    report: join(out, correlateFileNames[protocol][1]),
  };
}

function formatResult(
  { protocol, subnets, correlations, ceiling, seconds, file, report }: CorrelateResult,
): string {
  const rows = correlations.map((
    { metric, spearman, interval, withinWidths, kendall, precisionTop10, regret },
  ) => [
    metric,
    formatCorrelation(spearman),
    formatInterval(interval),
    formatCorrelation(withinWidths.spearman),
    formatCorrelation(kendall),
    formatShare(precisionTop10),
    formatShare(regret),
  ]);
  const first = subnets.map(({ downstream: [accuracy] }) => accuracy).sort((a, b) => a - b);
  return [
    formatTable(
      [["score", "Spearman", "95 %", "one width", "Kendall", "top tenth", "regret"], ...rows],
      "lrrrrrr",
    ),
    "",
    `${formatCount(subnets.length)} subnets of ${formatQuantity(subnets[0].macs)} to ` +
    `${formatQuantity(subnets.at(-1)!.macs)} MACs: ${protocolNames[protocol]} ${formatShare(first[0])} to ${
      formatShare(first.at(-1)!)
    }; ` +
    formatDuration(seconds),
    !ceiling
      ? "How far two seeds agree is not known; --seeds 2 pretrains a second time to say."
      : `Two seeds agree with each other to a Spearman of ${formatCorrelation(ceiling.spearman)}.`,
    file,
    report,
  ].join("\n");
}

if (import.meta.main) await runCommand(correlateCommand);
