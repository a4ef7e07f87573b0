/**
 * What subnets are worth: kNN and a linear probe on their frozen features, beside an untrained network of the same
 * architecture and raw pixels.
 *
 *     deno task bench:worth --run runs/photos --data folder:photos/train --test-data folder:photos/test
 *     deno task bench:worth --model small.safetensors --data folder:photos/train --test-data folder:photos/test
 *     deno task bench:worth --run runs/demo            # smallest, middle, largest, on the images that were held out
 */
import { defineCommand, runCommand } from "../src/cli/command.ts";
import { openDevice } from "../src/cli/device.ts";
import type { FlagValues } from "../src/cli/flags.ts";
import { formatCount, formatQuantity, formatTable } from "../src/cli/format.ts";
import { openRunCheckpoint, type RunCheckpoint } from "../src/cli/run_checkpoint.ts";
import { sourceName } from "../src/config/data_source.ts";
import { type Architecture, formatArchitecture } from "../src/elastic/architecture.ts";
import { macs, parameters } from "../src/elastic/costs.ts";
import { UsageError } from "../src/errors.ts";
import { knnAccuracy, type KnnSettings, type LabelledFeatures } from "../src/evaluate/knn.ts";
import { linearDefaults, linearProbe, type LinearSettings } from "../src/evaluate/linear.ts";
import {
  labelledFeatures,
  labelledPixels,
  openLabelledImages,
  recalibrateOn,
} from "../src/extract/labelled_images.ts";
import type { ModelInput } from "../src/extract/model.ts";
import { openModel } from "../src/extract/model_file.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { Encoder, type Initialisation } from "../src/nn/encoder.ts";
import { openEncoder } from "../src/pretrain/encoder_file.ts";
import { type KnnImages, openRunData } from "../src/pretrain/run_data.ts";
import { readDataRecord } from "../src/store/data_record.ts";
import { threeSizes } from "./three_sizes.ts";

/** Accuracies, 0 to 1. */
interface Accuracies {
  readonly knn: number;
  readonly linear: number;
  /** The regularisation that the probe chose. */
  readonly regularisation: number;
}

interface SubnetResult extends Accuracies {
  /** Run folder or model file. */
  readonly network: string;
  readonly arch: string;
  readonly macs: number;
  readonly params: number;
  /** The same architecture with the values that training begins with, batchnorm recalibrated alike. */
  readonly untrained: Accuracies;
}

interface WorthResult {
  readonly data: string;
  readonly testData: string;
  readonly images: { readonly train: number; readonly test: number };
  readonly settings: {
    readonly features: "pooled";
    readonly encoder: "query" | "momentum";
    readonly calibrate: number;
    readonly knn: KnnSettings;
    readonly linear: LinearSettings;
  };
  readonly results: readonly SubnetResult[];
  readonly pixels: Accuracies & { readonly imageSize: number };
}

const flags = {
  run: { type: "string", placeholder: "DIR", description: "Run folder of a pretraining" },
  arch: {
    type: "strings",
    placeholder: "ARCH",
    description:
      "With --run: min, max, a name or an id (default: the smallest, the middle one by MACs, the largest)",
  },
  encoder: {
    type: "string",
    choices: ["query", "momentum"],
    default: "query",
    description: "With --run: which",
  },
  model: { type: "strings", placeholder: "FILE", description: 'Model that "deno task extract" wrote' },
  data: {
    type: "string",
    placeholder: "SPEC",
    description: "Labelled images to train classifiers with (default: the run's, those held out left out)",
  },
  testData: {
    type: "string",
    placeholder: "SPEC",
    description: "Labelled images to test on (default: those that the run held out)",
  },
  neighbours: {
    type: "integer",
    minimum: 1,
    placeholder: "K",
    default: 20,
    description: "Neighbours of kNN",
  },
  temperature: { type: "number", minimum: 0.001, default: 0.1, description: "Temperature of kNN's votes" },
  calibrate: {
    type: "integer",
    minimum: 2,
    default: 2048,
    description: "Training images to take batchnorm statistics from; a --model keeps its own",
  },
  pixels: {
    type: "integer",
    minimum: 8,
    placeholder: "SIDE",
    default: 32,
    description: "Side of the images whose raw pixels are compared, at most",
  },
  seed: {
    type: "integer",
    minimum: 0,
    default: 1,
    description: "Seed of the validation split and synthetic images",
  },
} as const;

type Values = FlagValues<typeof flags>;

function checkFlags({ run, arch, model, data, testData }: Values): void {
  if ((run === undefined) === (model.length === 0)) throw new UsageError("Give either --run or --model.");
  if (run === undefined && arch.length > 0) throw new UsageError("--arch goes with --run only.");
  if ((data === undefined) !== (testData === undefined)) {
    throw new UsageError("Give both --data and --test-data, or with --run neither.");
  }
  if (run === undefined && data === undefined) throw new UsageError("--model needs --data and --test-data.");
}

/** Networks to evaluate that read images alike. */
interface Subject {
  readonly network: string;
  readonly encoder: Encoder;
  readonly architectures: readonly Architecture[];
  readonly input: ModelInput;
  /** Batchnorm fits the architecture already. */
  readonly calibrated: boolean;
  readonly initialisation: Initialisation;
}

async function openRun(
  gpu: Gpu,
  run: string,
  { config, path }: RunCheckpoint,
  wanted: Values,
): Promise<Subject> {
  const { encoder } = await openEncoder(gpu, path, wanted.encoder === "query" ? "encoder_q" : "encoder_k");
  const { imageSize, mean, std } = config.data;
  const { network } = encoder;
  const named = wanted.arch.map((name) => network.space.resolve(name));
  return {
    network: run,
    encoder,
    architectures: named.length > 0 ? named : threeSizes(network, imageSize),
    input: { imageSize, mean, std },
    calibrated: false,
    initialisation: config.initialisation,
  };
}

async function openFile(gpu: Gpu, path: string, onWarning: (text: string) => void): Promise<Subject> {
  const { encoder, network, input } = await openModel(gpu, path, onWarning);
  const initialisation = { head: "kaiming", lastBatchnorm: 1 } as const;
  return {
    network: path,
    encoder,
    architectures: [network.space.max],
    input,
    calibrated: true,
    initialisation,
  };
}

/** One classifier after the other on the features of both sets. */
class Judge {
  constructor(
    readonly gpu: Gpu,
    readonly knn: KnnSettings,
    readonly linear: LinearSettings,
    readonly signal: AbortSignal,
  ) {}

  async accuracies(train: LabelledFeatures, test: LabelledFeatures): Promise<Accuracies> {
    const knn = await knnAccuracy(this.gpu, train, test, this.knn);
    this.signal.throwIfAborted();
    const { accuracy, regularisation } = await linearProbe(train, test, this.linear, this.signal);
    return { knn, linear: accuracy, regularisation };
  }

  /** @param calibrate images to take batchnorm statistics from; 0 uses the encoder's own */
  async ofNetwork(
    encoder: Encoder,
    architecture: Architecture,
    { bank, queries }: KnnImages,
    calibrate: number,
  ): Promise<Accuracies> {
    const own = calibrate === 0;
    const statistics = own
      ? encoder.statistics
      : await recalibrateOn(encoder, architecture, bank, calibrate, this.linear.seed);
    const train = await labelledFeatures(encoder, architecture, statistics, bank);
    const test = await labelledFeatures(encoder, architecture, statistics, queries);
    if (!own) statistics.release();
    this.signal.throwIfAborted();
    return await this.accuracies(train, test);
  }
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function format({ images, settings, results, pixels, data, testData }: WorthResult): string {
  const shown = ({ knn, linear }: Accuracies) => [percent(knn), percent(linear)];
  const rows = results.map(({ arch, macs, params, untrained, ...trained }) => [
    ...[arch, formatQuantity(macs), formatQuantity(params), ...shown(trained), ...shown(untrained)],
  ]);
  const side = pixels.imageSize;
  const error = 100 * Math.sqrt(0.25 / images.test);
  return [
    formatTable([
      ["", "", "", "trained", "", "untrained", ""],
      ["architecture", "MACs", "parameters", "kNN", "linear", "kNN", "linear"],
      ...rows,
      [`raw pixels, ${side} x ${side}`, "", "", ...shown(pixels), "", ""],
    ], "lrrrrrr"),
    "",
    `${formatCount(images.train)} images of ${data}, tested on ${formatCount(images.test)} of ${testData}`,
    `k ${settings.knn.neighbours}, temperature ${settings.knn.temperature}; standard error at most ${
      error.toFixed(1)
    } points`,
  ].join("\n");
}

/** The command; exported for its test. */
export const worthCommand = defineCommand({
  name: "bench:worth",
  summary:
    "Says what subnets are worth: the accuracy of kNN and of a linear probe on their pooled features, beside an " +
    "untrained network of the same architecture and raw pixels.",
  flags,
  examples: [
    "deno task bench:worth --run runs/photos --data folder:photos/train --test-data folder:photos/test",
    "deno task bench:worth --run runs/demo",
  ],
  async run({ flags, logger, onInterrupt }): Promise<WorthResult> {
    checkFlags(flags);
    const warn = (text: string) => logger.warn(text);
    const checkpoint = flags.run === undefined
      ? undefined
      : await openRunCheckpoint(flags.run, undefined, warn);
    using gpu = await openDevice(logger);
    const signal = gpu.stream.interrupt = onInterrupt("Stopping.", "nothing to save");
    const subjects = checkpoint
      ? [await openRun(gpu, flags.run!, checkpoint, flags)]
      : await Promise.all(flags.model.map((path) => openFile(gpu, path, warn)));
    const { neighbours, temperature, seed } = flags;
    const linear = { ...linearDefaults, seed };
    const judge = new Judge(gpu, { neighbours, temperature }, linear, signal);

    const open = async (input: ModelInput): Promise<KnnImages & { release(): void }> => {
      if (flags.data !== undefined) {
        const specs = { data: flags.data, testData: flags.testData! };
        return await openLabelledImages(gpu, { ...specs, input, seed, onWarning: warn });
      }
      const { config } = checkpoint!;
      const resized = { ...config, data: { ...config.data, imageSize: input.imageSize } };
      const earlier = { record: await readDataRecord(flags.run!), acceptChanges: false };
      const opened = await openRunData(gpu, resized, { onWarning: warn }, earlier);
      if (opened.knn) return { ...opened.knn, release: () => opened.release() };
      throw new UsageError(`${flags.run} has no labels, or held nothing out: give --data and --test-data.`);
    };

    const results: SubnetResult[] = [];
    let counts = { train: 0, test: 0 };
    for (const { network: name, encoder, architectures, input, calibrated, initialisation } of subjects) {
      const images = await open(input);
      counts = { train: images.bank.indices.length, test: images.queries.indices.length };
      const { network } = encoder;
      const untrained = new Encoder(gpu, network, encoder.head, false);
      await untrained.initialise(seed, initialisation);
      for (const architecture of architectures) {
        logger.info(`${name}: ${formatArchitecture(architecture)}`);
        results.push({
          network: name,
          arch: formatArchitecture(architecture),
          macs: macs(network, architecture, input.imageSize),
          params: parameters(network, architecture),
          ...await judge.ofNetwork(encoder, architecture, images, calibrated ? 0 : flags.calibrate),
          untrained: await judge.ofNetwork(untrained, architecture, images, flags.calibrate),
        });
      }
      for (const owner of [untrained, encoder, images]) owner.release();
    }

    logger.info("raw pixels");
    const imageSize = Math.min(flags.pixels, subjects[0].input.imageSize);
    const images = await open({ ...subjects[0].input, imageSize });
    const pixels = await judge.accuracies(
      await labelledPixels(images.bank),
      await labelledPixels(images.queries),
    );
    images.release();
    return {
      data: flags.data ?? sourceName(checkpoint!.config.data.source),
      testData: flags.testData ?? "the images held out",
      images: counts,
      settings: {
        features: "pooled",
        encoder: flags.encoder,
        calibrate: flags.calibrate,
        knn: { neighbours, temperature },
        linear,
      },
      results,
      pixels: { imageSize, ...pixels },
    };
  },
  format,
});

if (import.meta.main) await runCommand(worthCommand);
