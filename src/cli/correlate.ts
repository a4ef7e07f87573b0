/** `deno task correlate`: how well scores without labels predict what subnets are worth. */
import { join } from "@std/path";
import { sourceName } from "../config/data_source.ts";
import { type Analysis, results } from "../studies/correlate/analysis.ts";
import { correlate, type Correlated } from "../studies/correlate/correlate.ts";
import type { Judging } from "../studies/correlate/judging.ts";
import { type CorrelateProtocol, resultName } from "../studies/correlate/protocols.ts";
import { pretrained, withSeed } from "../studies/pretrained.ts";
import { readSavedCorrelation, saveCorrelation, type SavedCorrelation } from "../studies/correlate/saved.ts";
import { spreadSubnets } from "../studies/correlate/subnets.ts";
import { formatDuration } from "../duration.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { formatCorrelation, formatInterval } from "../number_format.ts";
import { UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
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
import { type CorrelateFlags, correlateFlags } from "./correlate_flags.ts";
import { type CorrelatePlan, openJudging, planCorrelation, protocolSettings } from "./correlate_judging.ts";
import { givenData } from "./data_flag.ts";
import { openDevice } from "./device.ts";
import { formatCount, formatQuantity, formatShare, formatTable } from "./format.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { correlateOutput, dataPaths, guardOutputFolder } from "./output_guard.ts";
import { Progress } from "./progress.ts";
import { studyHooks } from "./study_hooks.ts";
import { openRunCheckpoint, type RunCheckpoint } from "./run_checkpoint.ts";

interface CorrelateResult {
  readonly protocol: CorrelateProtocol;
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

/** Results by each protocol have their own files: all share the runs of further seeds. */
function correlateFileNames(protocol: CorrelateProtocol): [results: string, report: string] {
  const suffix = protocol === "knn" ? "" : `-${protocol}`;
  return [`correlation${suffix}.json`, `report${suffix}.html`];
}

/** Settings in the report, where their names are not words. */
const settingLabels: Readonly<Record<string, string>> = {
  scoredOn: "images scored",
  imageSize: "their sides",
  outputStride: "output stride",
  trainImages: "images trained on",
  testImages: "images tested on",
  learningRate: "learning rate",
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
    "scored by every measure of similarity and judged on labelled images, frozen or trained with a head. Beside the scores " +
    "stand their rivals, MACs, " +
    "parameters, the width of the last stage, and NASWOT and SynFlow of the untrained network; and, with a second seed, " +
    "how far two runs agree with each other.",
  flags: correlateFlags,
  examples: [
    "deno task correlate --run runs/demo",
    "deno task correlate --run runs/demo --subnets 108 --seeds 2",
    "deno task correlate --run runs/photos --data photos/train --test-data photos/test",
    "deno task correlate --run runs/roads --protocol segmentation --subnets 8 --config configs/finetune-camvid.json " +
    "--data masks:roads/train --test-data masks:roads/test",
  ],
  run: (context): Promise<CorrelateResult> => withAdvice(advice, () => run(context)),
  format: formatResult,
});

async function run(context: Context<typeof correlateFlags>): Promise<CorrelateResult> {
  const { flags, logger, onInterrupt } = context;
  const onWarning = (text: string) => logger.warn(text);
  const checkpoint = await openRunCheckpoint(flags.run, flags.checkpoint, onWarning);
  const { config } = checkpoint;
  const out = flags.out ?? join(flags.run, "correlate");
  await guardOutputFolder(out, correlateOutput, correlateFileNames(flags.protocol), [
    ...dataPaths(givenData(flags.data)),
    ...dataPaths(givenData(flags.testData)),
  ]);
  const plan = await planCorrelation(flags, config);
  const { seed } = config.training;
  const architectures = spreadSubnets(plan.network, flags.subnets, plan.imageSize, seed);
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "correlate.lock"), onWarning);
  const savedPath = join(out, "interrupted.json");
  const settings = await settingsOf(flags, plan, checkpoint, architectures.map(formatArchitecture));
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
    imageSize: plan.imageSize,
    record,
    onWarning,
  }, seed);
  const { protocol } = flags;
  let judging: Judging | undefined;
  let progress: Progress | undefined, done = 0;
  let found: Correlated;
  try {
    judging = await openJudging(gpu, flags, plan, config, { record, out, onWarning });
    const request = { ...plan, checkpoints, architectures, protocol, judging, images, seed, saved };
    found = await correlate(gpu, request, {
      signal,
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
    judging?.release();
  }
  const facts = {
    ...protocolSettings(flags, plan, config),
    ...judging.facts,
    task: plan.task,
    scoredOn: flags.images,
    imageSize: plan.imageSize,
    outputStride: plan.outputStride,
  };
  const result = resultOf(found, flags, facts, out, (performance.now() - begun) / 1000);
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
      protocol,
      testImages: judging.testImages,
      run: flags.run,
      settings: Object.entries(result.settings).map((
        [name, value],
      ) => [settingLabels[name] ?? name, String(value)]),
    }),
  );
  await Deno.remove(savedPath);
  return result;
}

async function settingsOf(
  { data, testData, images }: CorrelateFlags,
  { task, imageSize, outputStride, training }: CorrelatePlan,
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
    imageSize: String(imageSize),
    outputStride: String(outputStride),
    training: training ? `${training.head}, ${JSON.stringify(training.config)}` : "none",
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
  if (!saved) return { settings, scores: {}, zeroCost: {}, outcomes: {} };
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
  { subnets, correlations, ceiling, naswotImages }: Correlated,
  { protocol, seeds }: CorrelateFlags,
  facts: Readonly<Record<string, string | number>>,
  out: string,
  seconds: number,
): CorrelateResult {
  const downstream = Array.from({ length: seeds }, (_, seed) => results(subnets, seed));
  const [file, report] = correlateFileNames(protocol);
  return {
    protocol,
    settings: { ...facts, naswotImages, initialisations },
    subnets: subnets.map(({ worth: _, ...subnet }, at) => ({
      ...subnet,
      downstream: downstream.map((one) => one[at]),
    })),
    correlations,
    ceiling: ceiling ?? null,
    seconds: Number(seconds.toFixed(2)),
    file: join(out, file),
    report: join(out, report),
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
  const first = subnets.map(({ downstream: [result] }) => result).sort((a, b) => a - b);
  return [
    formatTable(
      [["score", "Spearman", "95 %", "one width", "Kendall", "top tenth", "regret"], ...rows],
      "lrrrrrr",
    ),
    "",
    `${formatCount(subnets.length)} subnets of ${formatQuantity(subnets[0].macs)} to ` +
    `${formatQuantity(subnets.at(-1)!.macs)} MACs: ${resultName(protocol)} ${formatShare(first[0])} to ${
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
