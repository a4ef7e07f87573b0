/** `deno task evaluate`: what subnets and extracted models are worth, by labels. */
import { basename, dirname, join } from "@std/path";
import { sourceName } from "../config/data_source.ts";
import type { Config } from "../config/schema.ts";
import { formatDuration } from "../duration.ts";
import { SearchSpace } from "../elastic/search_space.ts";
import { TrainingError, UsageError } from "../errors.ts";
import { bestFirst, type Mistake } from "../report/evaluate_data.ts";
import { renderEvaluateReport } from "../report/evaluate_report.ts";
import { readDataRecord } from "../store/data_record.ts";
import { fileFingerprint } from "../store/fingerprint.ts";
import { FolderLock } from "../store/folder_lock.ts";
import { evaluate, type Evaluation } from "../studies/evaluate/evaluate.ts";
import type { ImagesRequest } from "../studies/evaluate/images.ts";
import type { Protocol } from "../studies/evaluate/protocols.ts";
import type { EvaluatedNetwork } from "../studies/evaluate/request.ts";
import { openModelSubjects, openRunSubjects, type Subject } from "../studies/evaluate/subjects.ts";
import { version } from "../version.ts";
import { withAdvice } from "./advice.ts";
import { type Context, defineCommand, runCommand } from "./command.ts";
import { givenData } from "./data_flag.ts";
import { openDevice } from "./device.ts";
import { checkEvaluateFlags, type EvaluateFlags, evaluateFlags, protocolOf } from "./evaluate_flags.ts";
import { evaluateFileNames, EvaluationFolder } from "./evaluate_files.ts";
import { rankedChoice } from "./extract_flags.ts";
import { formatCount, formatQuantity, formatShare, formatTable } from "./format.ts";
import { chooseFromRanking } from "./from_ranking.ts";
import type { Logger } from "./logger.ts";
import { picturesOfMistakes } from "./mistake_pictures.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { dataPaths, evaluateOutput, guardOutputFolder } from "./output_guard.ts";
import { Progress } from "./progress.ts";
import { openRunCheckpoint, type RunCheckpoint } from "./run_checkpoint.ts";
import { TunedFiles } from "./tuned_files.ts";

/** A judged network as `--json` prints it. */
type EvaluatedLine = Omit<EvaluatedNetwork, "confusion"> & {
  /** Fine-tuned, with its classifier. */
  readonly files?: readonly string[];
};

interface EvaluateResult {
  readonly protocol: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly classes: readonly string[];
  readonly images: Evaluation["images"];
  readonly results: readonly EvaluatedLine[];
  readonly baselines: Evaluation["baselines"];
  readonly seconds: number;
  readonly file: string;
  readonly report: string;
}

const advice = { labels: "Give labelled images with --data and --test-data." };

/** The command; exported for its tests. */
export const evaluateCommand = defineCommand({
  name: "evaluate",
  summary:
    "Says what subnets of a run, or extracted models, are worth: a classifier is trained on labelled images and tested on " +
    "others. Prints accuracies, and writes results.jsonl and a report with classes, confusions and mistakes; fine-tuned " +
    "networks are saved with their classifier.",
  flags: evaluateFlags,
  examples: [
    "deno task evaluate --run runs/demo",
    "deno task evaluate --run runs/demo --best-per-group --protocol knn",
    "deno task evaluate --model best.safetensors --data photos/train --test-data photos/test",
    "deno task evaluate --run runs/photos --arch min --protocol semi --fraction 0.1 --data photos/train --test-data photos/test",
  ],
  run: (context): Promise<EvaluateResult> => withAdvice(advice, () => run(context)),
  format: formatResult,
});

async function run({ flags, logger, onInterrupt }: Context<typeof evaluateFlags>): Promise<EvaluateResult> {
  checkEvaluateFlags(flags);
  const told = new Set<string>();
  // Sets are opened for training and for evaluation, and again for each size of image.
  const warn = (text: string) => {
    if (!told.has(text)) logger.warn(text);
    told.add(text);
  };
  const checkpoint = flags.run === undefined
    ? undefined
    : await openRunCheckpoint(flags.run, flags.checkpoint, warn);
  const architectures = checkpoint ? await chooseArchitectures(flags, checkpoint, logger) : [];
  const protocol = protocolOf(flags, checkpoint?.config.knn);
  const out = flags.out ?? defaultFolder(flags);
  await guardOutputFolder(out, evaluateOutput, evaluateFileNames, [
    ...dataPaths(givenData(flags.data)),
    ...dataPaths(givenData(flags.testData)),
    ...flags.model,
  ]);
  const settings = settingsOf(flags, protocol);
  await makeOutputFolder(out);
  await using _ = await FolderLock.take(join(out, "evaluate.lock"), warn);
  const inputs = await inputsOf(flags, checkpoint, architectures);
  const folder = await EvaluationFolder.open(
    out,
    { version, protocol: flags.protocol, settings, inputs },
    flags.resume,
  );
  using gpu = await openDevice(logger);
  const signal = onInterrupt("Stopping; what is done is saved. Go on with the same command and --resume.");
  gpu.stream.interrupt = signal;
  const begun = performance.now();
  const opened = checkpoint
    ? await openRunSubjects(
      gpu,
      flags.run!,
      checkpoint.path,
      checkpoint.config,
      architectures.map((arch) => new SearchSpace(checkpoint.config.space).resolve(arch)),
      flags.encoder,
    )
    : await openModelSubjects(gpu, flags.model, warn);
  const tunes = "fraction" in protocol;
  const tuned = new TunedFiles(out, opened.subjects);
  let mistakes: readonly Mistake[] = [];
  const show = networkProgress(logger, flags.protocol);
  let found: Evaluation;
  try {
    if (tunes) await tuned.guard(flags.model);
    // What was kept of a fine-tuning is gone on with only where its evaluation is.
    if (!folder.goesOn) await tuned.removeCheckpoints();
    found = await evaluate(gpu, {
      subjects: opened.subjects,
      images: await imagesOf(flags, checkpoint?.config),
      protocol,
      calibrate: flags.calibrate ?? 2048,
      keepCalibration: flags.calibrate === undefined,
      seed: flags.seed,
      baselines: flags.baselines,
      known: folder.known,
    }, {
      signal,
      onWarning: warn,
      async onNetwork(...network) {
        show.network(...network);
        if (tunes) await folder.begin();
      },
      onPart: show.part,
      async onJudged(judged) {
        show.judged(judged);
        await folder.add(judged);
      },
      checkpointOf: (subject) => tuned.checkpointOf(subject),
      onTuned: (subject, model) => tuned.write(subject, model),
    }, async (evaluation, images) => {
      mistakes = await picturesOfMistakes(
        bestFirst(evaluation.results)[0].mistakes,
        evaluation.classes,
        images,
      );
    });
  } catch (error) {
    if (error instanceof TrainingError && await folder.abandon()) await tuned.removeCheckpoints();
    throw error;
  } finally {
    opened.release();
  }
  const written = await folder.finish(
    await renderEvaluateReport({
      title: out,
      version,
      device: gpu.facts.description,
      protocol: flags.protocol,
      settings: Object.entries({ ...settings, ...inputs }).map(([name, value]) => [
        name,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
      ...found,
      mistakes,
    }),
  );
  await tuned.removeCheckpoints();
  return {
    protocol: flags.protocol,
    settings,
    classes: found.classes,
    images: found.images,
    results: found.results.map(({ confusion: _, mistakes: __, ...line }) => ({
      ...line,
      ...tunes && { files: tuned.of(line) },
    })),
    baselines: found.baselines,
    seconds: Number(((performance.now() - begun) / 1000).toFixed(2)),
    ...written,
  };
}

/** Ids of what flags ask for; smallest and largest where they ask for nothing. */
async function chooseArchitectures(
  flags: EvaluateFlags,
  checkpoint: RunCheckpoint,
  logger: Logger,
): Promise<string[]> {
  const choice = rankedChoice(flags);
  const { run, from, arch } = flags;
  if (choice && arch.length > 0) {
    throw new UsageError("--arch and a choice from a ranking are given. Give one of them.");
  }
  if (from !== undefined && !choice) {
    throw new UsageError(
      "--from needs --best, --top N, --best-per-group or --frontier, which says what to take.",
    );
  }
  const space = new SearchSpace(checkpoint.config.space);
  const texts = choice
    ? await chooseFromRanking({ run: run!, from, choice, budgets: {} }, checkpoint, logger)
    : arch.length > 0
    ? arch
    : ["min", "max"];
  return [...new Set(texts.map((text) => space.resolve(text).id))];
}

function defaultFolder({ run, model: [model], protocol }: EvaluateFlags): string {
  if (run !== undefined) return join(run, `evaluate-${protocol}`);
  return join(dirname(model), `${basename(model, ".safetensors")}-${protocol}`);
}

/** What decides about the results, for the file, the report and `--json`. */
function settingsOf(flags: EvaluateFlags, protocol: Protocol): Record<string, unknown> {
  const { calibrate = 2048, seed, encoder, run } = flags;
  const shared = {
    ...run !== undefined && { encoder },
    calibrate: run === undefined && flags.calibrate === undefined && !("fraction" in protocol)
      ? "the model's own"
      : calibrate,
    seed,
  };
  if (protocol.kind === "knn") {
    const { settings: { neighbours, temperature }, features } = protocol;
    return { k: neighbours, temperature, features, ...shared };
  }
  if (protocol.kind === "linear") {
    const { solver, settings } = protocol;
    return { solver, features: solver === "sgd" ? "pooled" : "pooled, standardised", ...settings, ...shared };
  }
  return { fraction: protocol.fraction, ...protocol.settings, ...shared };
}

async function inputsOf(
  { run, model, data, testData }: EvaluateFlags,
  checkpoint: RunCheckpoint | undefined,
  architectures: readonly string[],
): Promise<Record<string, string>> {
  const networks = checkpoint
    ? {
      run: run!,
      checkpoint: await fileFingerprint(checkpoint.path),
      architectures: architectures.join(" "),
    }
    : Object.fromEntries(
      await Promise.all(model.map(async (path) => [path, await fileFingerprint(path)] as const)),
    );
  return {
    ...networks,
    data: sourceName(givenData(data) ?? "the run's"),
    testData: sourceName(givenData(testData) ?? "those that the run held out"),
  };
}

async function imagesOf(
  { run, data, testData, seed }: EvaluateFlags,
  config: Config | undefined,
): Promise<ImagesRequest> {
  const given = givenData(data);
  if (given !== undefined) return { kind: "given", data: given, testData: givenData(testData)!, seed };
  return { kind: "run", run: run!, config: config!, record: await readDataRecord(run!) ?? undefined };
}

function networkProgress(logger: Logger, protocol: string) {
  let progress: Progress | undefined;
  let subject: Subject, shown: string;
  return {
    network(next: Subject, number: number, of: number) {
      progress = undefined;
      subject = next;
      shown = `${next.arch}${of > 1 ? ` (${number + 1} of ${of})` : ""}`;
      logger.status(`${protocol} ${shown}`);
    },
    part(done: number, total: number) {
      progress ??= new Progress({ logger, label: shown, total, unit: "steps", done });
      progress.update(done);
    },
    judged({ accuracy }: EvaluatedNetwork) {
      progress?.finish();
      logger.info(`${shown === undefined ? subject.arch : shown}: ${formatShare(accuracy)}`);
    },
  };
}

function formatResult(result: EvaluateResult): string {
  const { results, baselines, images, seconds, file, report, protocol, classes } = result;
  const untrained = results.some((line) => line.untrained !== undefined);
  const columns = ["architecture", "MACs", "parameters", "accuracy", "95 %"];
  const several = new Set(results.map(({ network }) => network)).size > 1;
  const rows = results.map(({ network, arch, macs, params, accuracy, interval: [low, high], ...more }) => [
    ...several ? [network] : [],
    arch,
    formatQuantity(macs),
    formatQuantity(params),
    formatShare(accuracy),
    `${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)}`,
    ...untrained ? [more.untrained === undefined ? "" : formatShare(more.untrained)] : [],
  ]);
  const blank = (cells: number) => new Array<string>(cells).fill("");
  const width = columns.length + (several ? 1 : 0) + (untrained ? 1 : 0);
  const label = several ? 4 : 3;
  return [
    formatTable([
      [...several ? ["network"] : [], ...columns, ...untrained ? ["untrained"] : []],
      ...rows,
      ...baselines.map(({ name, accuracy }) => [
        name,
        ...blank(label - 1),
        formatShare(accuracy),
        ...blank(width - label - 1),
      ]),
    ], `${several ? "l" : ""}lrrrr${untrained ? "r" : ""}`),
    "",
    `${protocol}: ${formatCount(images.train)} labelled images to train on, ${
      formatCount(images.test)
    } to test on, ${formatCount(classes.length)} classes; ${formatDuration(seconds)}`,
    ...results.flatMap(({ files = [] }) => files),
    file,
    report,
  ].join("\n");
}

if (import.meta.main) await runCommand(evaluateCommand);
