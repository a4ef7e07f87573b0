/** `deno task embed`: writes the features of images. */

import { dirname } from "@std/path";
import { imageName } from "../data/image_name.ts";
import { openSource } from "../data/source.ts";
import { UsageError } from "../errors.ts";
import { featureFormat, writeFeatures } from "../extract/embed.ts";
import { type FeatureNetwork, pooledFeatures } from "../extract/feature_network.ts";
import type { Calibration, ModelInput } from "../extract/model.ts";
import { openModelNetwork, openRunNetwork } from "../extract/network.ts";
import type { Gpu } from "../gpu/device.ts";
import { SearchSpace } from "../elastic/search_space.ts";
import { dataSeed } from "../config/data_seed.ts";
import { readDataRecord } from "../store/data_record.ts";
import { defineCommand, runCommand } from "./command.ts";
import { dataFlag, givenData } from "./data_flag.ts";
import { openDevice } from "./device.ts";
import { encoderFlag } from "./encoder_flag.ts";
import { flagName, type FlagValues } from "./flags.ts";
import { formatCount } from "./format.ts";
import type { Logger } from "./logger.ts";
import { nextAfterEmbed } from "./next.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { dataPaths, featuresOutputs, guardOutputFile, runInputs } from "./output_guard.ts";
import { Progress } from "./progress.ts";
import { checkpointFlag, openRunCheckpoint } from "./run_checkpoint.ts";

interface EmbedResult {
  readonly arch: string;
  readonly data: string;
  /** Rows written. */
  readonly images: number;
  readonly dimension: number;
  readonly labelled: boolean;
  /** Images that could not be read and have no row. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  /** Null when the running statistics of pretraining were used. */
  readonly calibration: Calibration | null;
  readonly file: string;
}

const embedFlags = {
  run: { type: "string", placeholder: "DIR", description: "Run folder of a pretraining" },
  checkpoint: checkpointFlag,
  arch: {
    type: "string",
    placeholder: "ARCH",
    description: "With --run: max, min, a name from the configuration, or an id such as " +
      "64-64.128.256.512-3.4.6.3 (default: max)",
  },
  encoder: encoderFlag,
  model: {
    type: "string",
    placeholder: "FILE",
    description:
      'Model that "deno task extract" wrote, or any .onnx with one input of images [N, 3, H, W] and an output ' +
      '"features", or only one, [N, D] (run by ONNX Runtime, which is fetched from npm at its first use)',
  },
  data: { ...dataFlag("Images"), required: true },
  out: {
    type: "string",
    placeholder: "FILE",
    required: true,
    description: "File to write: .safetensors, .npz (NumPy) or .csv",
  },
  calibrate: {
    type: "integer",
    placeholder: "N",
    minimum: 0,
    description:
      "With --run: number of these images to take batchnorm statistics from; 0 keeps the running " +
      "statistics of pretraining, a mixture over architectures (default: 2048)",
  },
  seed: {
    type: "integer",
    placeholder: "N",
    minimum: 0,
    maximum: 0xffff_ffff,
    description: "Seed of synthetic images (default: the run's; 1 with --model)",
  },
  strict: { type: "boolean", description: "Stop at an image that cannot be read, instead of skipping it" },
  imageSize: {
    type: "integer",
    placeholder: "N",
    minimum: 8,
    maximum: 4096,
    description: "With an .onnx of another program: side of its images (default: its input's, or 224)",
  },
  resize: {
    type: "integer",
    placeholder: "N",
    minimum: 8,
    maximum: 4096,
    description:
      "The same: what the shorter side is resized to before that size is cut out of the middle (default: 256 " +
      "for 224, and in that ratio for others)",
  },
  mean: {
    type: "string",
    placeholder: "R,G,B",
    description: "The same: mean of its images' channels, from 0 to 1 (default: ImageNet's)",
  },
  std: {
    type: "string",
    placeholder: "R,G,B",
    description: "The same: standard deviation of its images' channels (default: ImageNet's)",
  },
} as const;

type EmbedFlags = FlagValues<typeof embedFlags>;

const defaultCalibration = 2048;

/** Three numbers of a flag, separated by commas. */
function parseChannels(
  flag: string,
  text: string,
  allowed: (value: number) => boolean,
): [number, number, number] {
  const values = text.split(",").map((part) => part.trim() === "" ? NaN : Number(part));
  const [red, green, blue] = values;
  if (values.length === 3 && values.every((value) => Number.isFinite(value) && allowed(value))) {
    return [red, green, blue];
  }
  throw new UsageError(
    `${flag} cannot be "${text}". Allowed: three numbers${
      flag === "--std" ? " above 0" : ""
    } separated by commas, e.g. 0.5,0.5,0.5.`,
  );
}

/** What flags say about the images of an .onnx. */
function givenInput({ imageSize, resize, mean, std }: EmbedFlags): Partial<ModelInput> {
  return {
    ...(imageSize === undefined ? {} : { imageSize }),
    ...(resize === undefined ? {} : { resize }),
    ...(mean === undefined ? {} : { mean: parseChannels("--mean", mean, () => true) }),
    ...(std === undefined ? {} : { std: parseChannels("--std", std, (value) => value > 0) }),
  };
}

function isOnnx(model: string | undefined): boolean {
  return model?.endsWith(".onnx") ?? false;
}

function checkFlags(flags: EmbedFlags): void {
  const { run, checkpoint, arch, encoder, model, out, calibrate } = flags;
  if (run === undefined && model === undefined) {
    throw new UsageError("--run DIR or --model FILE is missing: give the network that makes the features.");
  }
  if (run !== undefined && model !== undefined) {
    throw new UsageError("--run and --model are given. Give one of them.");
  }
  if (model !== undefined && checkpoint !== undefined) {
    throw new UsageError(
      "--checkpoint is given, but a --model is of one checkpoint. Leave --checkpoint out.",
    );
  }
  if (model !== undefined && encoder === "momentum") {
    throw new UsageError("--encoder is given, but a --model is of one encoder. Leave --encoder out.");
  }
  if (model !== undefined && arch !== undefined) {
    throw new UsageError("--arch is given, but a --model is one architecture. Leave --arch out.");
  }
  if (model !== undefined && calibrate !== undefined) {
    throw new UsageError(
      '--calibrate is given, but a --model keeps its batchnorm statistics. Leave it out, or give "deno task extract" ' +
        "the images to calibrate with.",
    );
  }
  if (calibrate === 1) {
    throw new UsageError(
      "--calibrate cannot be 1: batchnorm statistics need at least 2 images; 0 takes none.",
    );
  }
  const [input] = Object.keys(givenInput(flags));
  if (input !== undefined && !isOnnx(model)) {
    throw new UsageError(
      `${
        flagName(input)
      } goes with a --model FILE.onnx only; other models say how their images are prepared. Leave it ` +
        "out.",
    );
  }
  featureFormat(out);
}

/** What is opened before the work: a mistake in the flags fails before the device is asked for. */
interface Plan {
  /** Seed of synthetic images. */
  readonly seed: number;
  open(gpu: Gpu, hooks: Hooks): Promise<FeatureNetwork>;
}

interface Hooks {
  readonly logger: Logger;
  readonly signal: AbortSignal;
  warn(message: string): void;
}

async function planRun(run: string, flags: EmbedFlags, logger: Logger): Promise<Plan> {
  const { path, config: stored } = await openRunCheckpoint(
    run,
    flags.checkpoint,
    (text) => logger.warn(text),
  );
  const record = await readDataRecord(run);
  const seed = flags.seed ?? dataSeed(stored);
  const config = {
    ...stored,
    data: { ...stored.data, strict: flags.strict, seed },
    training: { ...stored.training, seed: flags.seed ?? stored.training.seed },
  };
  const architecture = new SearchSpace(config.space).resolve(flags.arch ?? "max");
  const images = flags.calibrate ?? defaultCalibration;
  return {
    seed,
    async open(gpu, { logger, signal, warn }) {
      const request = images > 0
        ? { source: givenData(flags.data), images, record, onWarning: warn }
        : undefined;
      let progress: Progress | undefined;
      const { encoder } = flags;
      const network = await openRunNetwork(
        gpu,
        path,
        encoder,
        config,
        architecture,
        request,
        (done, total) => {
          signal.throwIfAborted();
          progress ??= new Progress({ logger, label: "calibrate", total, unit: "images" });
          progress.update(done);
        },
      );
      return pooledFeatures(network);
    },
  };
}

function planModel(model: string, flags: EmbedFlags): Plan {
  return {
    seed: flags.seed ?? 1,
    async open(gpu, { warn, logger }) {
      if (!isOnnx(model)) return pooledFeatures(await openModelNetwork(gpu, model, warn));
      const { openOnnxNetwork } = await import("../extract/onnx_network.ts");
      return await openOnnxNetwork(gpu, model, givenInput(flags), (text) => logger.info(text));
    },
  };
}

/** The command; exported for its tests. */
export const embedCommand = defineCommand({
  name: "embed",
  summary:
    "Writes the features of images, a row each in the order of the data (folders: sorted paths). .safetensors and .npz " +
    'hold "features" [N, D], "labels" [N] where they are known, "indices" [N], the number of each row\'s image in the ' +
    'data, from 0, and for folders and shards "files" [N], their names (in .safetensors a JSON list in the metadata); .csv has the ' +
    "columns file, label, f0, f1, …. An image that cannot be read is named and has no row.",
  flags: embedFlags,
  examples: [
    "deno task embed --model small.safetensors --data folder:photos --out features.safetensors",
    "deno task embed --model backbone.onnx --data folder:photos --out features.npz",
    "deno task embed --run runs/demo --arch min --data synthetic:1000 --out features.safetensors",
  ],
  async run({ flags, logger, onInterrupt, next }): Promise<EmbedResult> {
    checkFlags(flags);
    const plan = flags.run === undefined
      ? planModel(flags.model!, flags)
      : await planRun(flags.run, flags, logger);
    const inputs = flags.run === undefined ? [flags.model] : await runInputs(flags.run);
    await guardOutputFile(flags.out, featuresOutputs[featureFormat(flags.out)], [
      ...inputs,
      ...dataPaths(givenData(flags.data)),
    ]);
    await makeOutputFolder(dirname(flags.out));
    using gpu = await openDevice(logger);
    const signal = onInterrupt("Stopping; no file is written.", "nothing to save");
    gpu.stream.interrupt = signal;
    // Calibration and the features may meet the same broken image, and word the reason after its path differently.
    const told = new Set<string>();
    const warn = (message: string) => {
      const [subject] = message.split('": ', 1);
      if (!told.has(subject)) logger.warn(message);
      told.add(subject);
    };
    const network = await plan.open(gpu, { logger, signal, warn });
    const source = await openSource(flags.data, {
      imageSize: network.input.imageSize,
      resize: network.input.resize,
      seed: plan.seed,
      strict: flags.strict,
      // Each image is looked at once.
      preload: false,
      cacheBytes: 0,
      onWarning: warn,
    });
    try {
      const progress = new Progress({ logger, label: "embed", total: source.length, unit: "images" });
      const images = await writeFeatures(flags.out, network, source, (done) => {
        signal.throwIfAborted();
        progress.update(done);
      });
      const { length, skipped, labels } = source;
      if (skipped.length > 0) {
        logger.warn(
          `${skipped.length} of ${length} images could not be read and have no row; ${
            flags.out.endsWith(".csv") ? 'the column "file"' : 'the tensor "indices"'
          } says which image each row is of.`,
        );
      }
      nextAfterEmbed(next, flags.out, [
        `features [${images}, ${network.dimension}]`,
        ...(labels ? [`labels [${images}]`] : []),
        `indices [${images}]`,
        ...(imageName(source, 0) !== undefined
          ? ["files" + (flags.out.endsWith(".npz") ? ` [${images}]` : " (metadata)")]
          : []),
      ]);
      return {
        arch: network.name,
        data: source.name,
        images,
        dimension: network.dimension,
        labelled: labels !== undefined,
        skipped,
        calibration: network.calibration ?? null,
        file: flags.out,
      };
    } finally {
      source.release();
      await network.release();
    }
  },
  format: ({ arch, images, dimension, labelled, file }) =>
    `${formatCount(images)} rows of ${formatCount(dimension)} features by ${arch}${
      labelled ? ", with labels" : ""
    }\n${file}`,
});

if (import.meta.main) await runCommand(embedCommand);
