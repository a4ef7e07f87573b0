/** `deno task extract`: cuts subnets out of a run as plain weights. */

import { dirname, join } from "@std/path";
import { openCalibration } from "../extract/calibration.ts";
import { extractSubnet } from "../extract/extract.ts";
import { type Calibration, modelCosts, type PlainModel } from "../extract/model.ts";
import { writeModel } from "../extract/model_file.ts";
import { loaderPath, writeLoader } from "../extract/pytorch_loader.ts";
import { encoderPrefix, openEncoder } from "../pretrain/encoder_file.ts";
import { type Architecture, formatArchitecture } from "../elastic/architecture.ts";
import { SearchSpace } from "../elastic/search_space.ts";
import { commandLine } from "../shell.ts";
import { readDataRecord } from "../store/data_record.ts";
import { defineCommand, runCommand } from "./command.ts";
import { givenData } from "./data_flag.ts";
import { openDevice } from "./device.ts";
import {
  budgetsOf,
  checkExtractFlags,
  type ExtractFlags,
  extractFlags,
  type formats,
  rankedChoice,
} from "./extract_flags.ts";
import { counted, formatQuantity, formatTable } from "./format.ts";
import { chooseFromRanking } from "./from_ranking.ts";
import type { Logger } from "./logger.ts";
import { nextAfterExtract } from "./next.ts";
import { makeOutputFolder } from "./output_folder.ts";
import {
  dataPaths,
  guardOutputFile,
  loaderOutput,
  modelOutput,
  onnxOutput,
  runInputs,
} from "./output_guard.ts";
import { Progress } from "./progress.ts";
import { openRunCheckpoint, type RunCheckpoint } from "./run_checkpoint.ts";

type Format = typeof formats[number];

interface ExtractedFile {
  readonly arch: string;
  readonly file: string;
  /** The PyTorch module beside it; null unless `--loader` asks for one. */
  readonly loader: string | null;
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

async function chooseTargets(
  flags: ExtractFlags,
  kind: "file" | "folder",
  checkpoint: RunCheckpoint,
  logger: Logger,
): Promise<Target[]> {
  const space = new SearchSpace(checkpoint.config.space);
  const choice = rankedChoice(flags);
  const texts = choice
    ? await chooseFromRanking({ ...flags, choice, budgets: budgetsOf(flags) }, checkpoint, logger)
    : flags.arch;
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
    if (flags.loader) await guardOutputFile(loaderPath(file), loaderOutput, inputs);
  }
  await makeOutputFolder(kind === "file" ? dirname(flags.out) : flags.out);
}

async function write({ file, format }: Target, model: PlainModel): Promise<void> {
  if (format === "safetensors") return await writeModel(file, model);
  const { writeOnnxModel } = await import("../extract/onnx_model.ts");
  await writeOnnxModel(file, model);
}

/** The same command line, with a loader. */
function flagsOf(flags: ExtractFlags): Parameters<typeof commandLine>[1] {
  const { run, checkpoint, arch, from, best, top, frontier, macs, params, latency, out, data } = flags;
  const encoder = flags.encoder === "query" ? undefined : flags.encoder;
  return {
    ...{
      run,
      checkpoint,
      encoder,
      arch,
      from,
      best,
      top,
      "best-per-group": flags.bestPerGroup,
      frontier,
      macs,
      params,
      latency,
      out,
    },
    loader: true,
    data,
    calibrate: flags.calibrate === extractFlags.calibrate.default ? undefined : flags.calibrate,
  };
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
    "deno task extract --run runs/demo --best --macs ..3M --out best.safetensors --loader",
    "deno task extract --run runs/demo --from runs/demo/search/ranking.json --best-per-group --out best --format onnx",
  ],
  async run({ flags, logger, next }): Promise<ExtractResult> {
    const kind = checkExtractFlags(flags);
    const checkpoint = await openRunCheckpoint(flags.run, flags.checkpoint, (text) => logger.warn(text));
    const targets = await chooseTargets(flags, kind, checkpoint, logger);
    await prepareOutput(flags, kind, targets);
    using gpu = await openDevice(logger);
    const { config, encoder, streamOrders } = await openEncoder(
      gpu,
      checkpoint.path,
      encoderPrefix(flags.encoder),
    );
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
          streamOrders,
        );
        await write(target, model);
        models.push({
          arch: formatArchitecture(target.architecture),
          file: target.file,
          loader: flags.loader ? await writeLoader(target.file, model) : null,
          ...modelCosts(model),
          calibration: model.calibration ?? null,
        });
      }
    } finally {
      images?.release();
      encoder.release();
    }
    const again = commandLine("extract", flagsOf(flags));
    nextAfterExtract(next, models[0], imageSize, again, givenData(flags.data) ?? config.data.source);
    return { run: flags.run, models };
  },
  format: ({ models }) =>
    formatTable([
      ["architecture", "MACs", "parameters", "calibrated on", "file"],
      ...models.map(({ arch, macs, params, calibration, file }) => [
        arch,
        formatQuantity(macs),
        formatQuantity(params),
        calibration ? counted(calibration.images, "image") : "nothing",
        file,
      ]),
    ], "lrrrl"),
});

if (import.meta.main) await runCommand(extractCommand);
