/** `deno task extract`: cuts subnets out of a run as plain weights. */

import { dirname, join } from "@std/path";
import { UsageError } from "../errors.ts";
import { openCalibration } from "../extract/calibration.ts";
import { extractSubnet } from "../extract/extract.ts";
import { type Calibration, modelCosts, type PlainModel } from "../extract/model.ts";
import { writeModel } from "../extract/model_file.ts";
import { openEncoder } from "../pretrain/encoder_file.ts";
import { type Architecture, formatArchitecture } from "../elastic/architecture.ts";
import { SearchSpace } from "../elastic/search_space.ts";
import { readDataRecord } from "../store/data_record.ts";
import { defineCommand, runCommand } from "./command.ts";
import { dataFlag, givenData } from "./data_flag.ts";
import { openDevice } from "./device.ts";
import type { FlagValues } from "./flags.ts";
import { formatQuantity, formatTable } from "./format.ts";
import type { Logger } from "./logger.ts";
import { makeOutputFolder } from "./output_folder.ts";
import { dataPaths, guardOutputFile, modelOutput, onnxOutput, runInputs } from "./output_guard.ts";
import { Progress } from "./progress.ts";
import { checkpointFlag, openRunCheckpoint, type RunCheckpoint } from "./run_checkpoint.ts";

type Format = "safetensors" | "onnx";

interface ExtractedFile {
  readonly arch: string;
  readonly file: string;
  readonly macs: number;
  readonly params: number;
  /** Null when the running statistics of pretraining were kept. */
  readonly calibration: Calibration | null;
}

interface ExtractResult {
  readonly run: string;
  readonly models: readonly ExtractedFile[];
}

/** An architecture, and the file that it becomes. */
interface Target {
  readonly architecture: Architecture;
  readonly file: string;
  readonly format: Format;
}

const formats = ["safetensors", "onnx"] as const;

const extractFlags = {
  run: { type: "string", placeholder: "DIR", required: true, description: "Run folder of a pretraining" },
  checkpoint: checkpointFlag,
  arch: {
    type: "strings",
    placeholder: "ARCH",
    description: "Architecture: max, min, a name from the configuration, or an id such as " +
      "64-64.128.256.512-3.4.6.3; with several, --out is a folder",
  },
  from: {
    type: "string",
    placeholder: "FILE",
    description: "A search's ranking.json to take architectures from; --out is a folder",
  },
  bestPerGroup: { type: "boolean", description: "With --from: the best architecture of each group of MACs" },
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

type ExtractFlags = FlagValues<typeof extractFlags>;

/** Checks the flags against each other. Says whether one file or a folder of them is written. */
function checkFlags(
  { arch, from, bestPerGroup, out, format, data, calibrate }: ExtractFlags,
): "file" | "folder" {
  if (from === undefined && arch.length === 0) {
    throw new UsageError("--arch ARCH is missing: give the architecture to cut out, or --from FILE.");
  }
  if (from !== undefined && arch.length > 0) {
    throw new UsageError("--arch and --from are given. Give one of them.");
  }
  if (from !== undefined && !bestPerGroup) {
    throw new UsageError("--from needs --best-per-group, which says what to take from the ranking.");
  }
  if (from === undefined && bestPerGroup) {
    throw new UsageError("--best-per-group needs --from FILE, a search's ranking.json.");
  }
  if (calibrate === 1) {
    throw new UsageError(
      "--calibrate cannot be 1: batchnorm statistics need at least 2 images; 0 takes none.",
    );
  }
  if (calibrate === 0 && data.length > 0) {
    throw new UsageError("--data is given, but --calibrate 0 uses no images. Leave one of them out.");
  }
  const ending = formats.find((name) => out.endsWith(`.${name}`));
  if (from !== undefined || arch.length > 1) {
    if (ending === undefined) return "folder";
    throw new UsageError(
      `--out ${out} is a file name, but several architectures are asked for. Give a folder.`,
    );
  }
  if (ending === undefined) {
    throw new UsageError(`--out ${out} has an unknown ending. Allowed: .safetensors, .onnx.`);
  }
  if (format !== undefined && format !== ending) {
    throw new UsageError(
      `--format ${format} contradicts --out ${out}. Leave --format out for a single file.`,
    );
  }
  return "file";
}

async function chooseTargets(
  flags: ExtractFlags,
  kind: "file" | "folder",
  space: SearchSpace,
  { step }: RunCheckpoint,
  logger: Logger,
): Promise<Target[]> {
  let texts: readonly string[] = flags.arch;
  if (flags.from !== undefined) {
    const { readBestPerGroup } = await import("../extract/ranking_file.ts");
    const ranking = await readBestPerGroup(flags.from);
    texts = ranking.architectures;
    if (ranking.step !== undefined && ranking.step !== step) {
      logger.warn(
        `${flags.from} ranks the weights of step ${ranking.step}, the checkpoint has those of step ${step}: what was ` +
          "best there need not be so here. Search again, or choose the checkpoint with --checkpoint.",
      );
    }
  }
  const byId = new Map(texts.map((text) => {
    const architecture = space.resolve(text);
    return [formatArchitecture(architecture), architecture];
  }));
  if (kind === "file") {
    const [architecture] = byId.values();
    return [{ architecture, file: flags.out, format: flags.out.endsWith(".onnx") ? "onnx" : "safetensors" }];
  }
  const format = flags.format ?? "safetensors";
  return [...byId].map(([id, architecture]) => ({
    architecture,
    file: join(flags.out, `${id}.${format}`),
    format,
  }));
}

/** Refuses to write over anything but earlier models, and makes the folder. */
async function prepareOutput(flags: ExtractFlags, kind: "file" | "folder", targets: Target[]): Promise<void> {
  const inputs = [...await runInputs(flags.run), flags.from, ...dataPaths(givenData(flags.data))];
  for (const { file, format } of targets) {
    await guardOutputFile(file, format === "onnx" ? onnxOutput : modelOutput, inputs);
  }
  await makeOutputFolder(kind === "file" ? dirname(flags.out) : flags.out);
}

async function write({ file, format }: Target, model: PlainModel): Promise<void> {
  if (format === "safetensors") return await writeModel(file, model);
  const { writeOnnxModel } = await import("../extract/onnx_model.ts");
  await writeOnnxModel(file, model);
}

/** The command; exported for its tests. */
export const extractCommand = defineCommand({
  name: "extract",
  summary:
    "Cuts subnets out of a pretrained network as plain weights, with batchnorm statistics taken anew from " +
    "unlabelled images: .safetensors with torchvision's names, or .onnx with batchnorm folded in.",
  flags: extractFlags,
  examples: [
    "deno task extract --run runs/demo --arch min --out small.safetensors",
    "deno task extract --run runs/demo --arch max --out large.onnx --data folder:photos --calibrate 4096",
    "deno task extract --run runs/demo --from runs/demo/search/ranking.json --best-per-group --out best --format onnx",
  ],
  async run({ flags, logger }): Promise<ExtractResult> {
    const kind = checkFlags(flags);
    const checkpoint = await openRunCheckpoint(flags.run, flags.checkpoint, (text) => logger.warn(text));
    const targets = await chooseTargets(
      flags,
      kind,
      new SearchSpace(checkpoint.config.space),
      checkpoint,
      logger,
    );
    await prepareOutput(flags, kind, targets);
    using gpu = await openDevice(logger);
    const { config, encoder } = await openEncoder(gpu, checkpoint.path, "encoder_q");
    const images = flags.calibrate === 0 ? undefined : await openCalibration(gpu, config, {
      source: givenData(flags.data),
      images: flags.calibrate,
      record: await readDataRecord(flags.run),
      onWarning: (message) => logger.warn(message),
    });
    const total = (images?.images ?? 0) * targets.length;
    const progress = new Progress({ logger, label: "calibrate", total, unit: "images" });
    const { imageSize, mean, std } = config.data;
    const models: ExtractedFile[] = [];
    try {
      for (const target of targets) {
        const done = models.length * (images?.images ?? 0);
        const model = await extractSubnet(
          encoder,
          target.architecture,
          { imageSize, mean, std },
          images && { ...images, batches: () => images.batches((read) => progress.update(done + read)) },
        );
        await write(target, model);
        models.push({
          arch: formatArchitecture(target.architecture),
          file: target.file,
          ...modelCosts(model),
          calibration: model.calibration ?? null,
        });
      }
    } finally {
      images?.release();
      encoder.release();
    }
    return { run: flags.run, models };
  },
  format: ({ models }) =>
    formatTable([
      ["architecture", "MACs", "parameters", "calibrated on", "file"],
      ...models.map(({ arch, macs, params, calibration, file }) => [
        arch,
        formatQuantity(macs, 2),
        formatQuantity(params, 2),
        calibration ? `${calibration.images} images` : "nothing",
        file,
      ]),
    ], "lrrrl"),
});

if (import.meta.main) await runCommand(extractCommand);
