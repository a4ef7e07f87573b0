/**
 * What `--out` must not be: an input, a checkpoint, or a file that this command did not write. Files are told apart by
 * device and inode, so that links and other spellings of a path are seen through.
 */
import { basename, dirname, join } from "@std/path";
import { type DataSource, specsOf } from "../config/data_source.ts";
import { parseDataSpec } from "../data/spec.ts";
import { UsageError } from "../errors.ts";
import { csvLeading, type FeatureFormat } from "../extract/embed.ts";
import { loaderMark } from "../extract/pytorch_loader.ts";
import { csvHead } from "../store/csv_rows.ts";
import { describeOnnxFile } from "../store/onnx/describe.ts";
import { npzComment } from "../store/npz.ts";
import { readFull } from "../store/read_full.ts";
import { RunFolder } from "../store/run_folder.ts";
import { readSafetensorsHeader } from "../store/safetensors.ts";

/** A kind of output, and how an earlier one is recognised. */
export interface OutputKind {
  /** With an article, e.g. "an extracted model". */
  readonly name: string;
  isOurs(path: string): Promise<boolean>;
}

/** Files and folders that a command reads. */
export type Inputs = readonly (string | undefined)[];

/** The paths in data specifications; none where the images come from no file. */
export function dataPaths(source: DataSource | undefined | null): string[] {
  return specsOf(source ?? []).map(parseDataSpec).flatMap((spec) =>
    spec.kind === "tar" ? spec.shards : "path" in spec ? [spec.path] : []
  );
}

/** Paths of a run that nothing may write over. */
export async function runInputs(path: string): Promise<string[]> {
  const folder = await RunFolder.open(path);
  return [folder.configPath, folder.metricsPath, ...(await folder.checkpoints()).map(({ path }) => path)];
}

async function look(path: string, follow = true): Promise<Deno.FileInfo | undefined> {
  try {
    return await (follow ? Deno.stat(path) : Deno.lstat(path));
  } catch (error) {
    // Paths that cannot be looked at fail when they are read or written, with the reason.
    if (error instanceof Error && "code" in error || error instanceof Deno.errors.FilesystemLoop) {
      return undefined;
    }
    throw error;
  }
}

/** The input that a path leads to. */
async function inputAt(path: string, inputs: Inputs): Promise<string | undefined> {
  const status = await look(path);
  if (!status) return undefined;
  for (const input of inputs) {
    const other = input === undefined ? undefined : await look(input);
    if (other && status.dev === other.dev && status.ino === other.ino) return input;
  }
}

/** Whether a folder is that of a run's checkpoints. */
async function holdsCheckpoints(folder: string): Promise<boolean> {
  const status = await look(folder);
  if (!status?.isDirectory) return false;
  const path = await Deno.realPath(folder);
  return basename(path) === "checkpoints" && await RunFolder.holdsRun(dirname(path));
}

/**
 * Checks a file that is to be written.
 *
 * @throws {UsageError} saying what is there
 */
export async function guardOutputFile(out: string, kind: OutputKind, inputs: Inputs): Promise<void> {
  const refuse = (what: string) => new UsageError(`--out ${out} ${what}. Give another --out.`);
  if (await holdsCheckpoints(dirname(out))) throw refuse("is among the checkpoints of a run");
  const link = await look(out, false);
  if (!link) return;
  const status = await look(out);
  if (!status) throw refuse("is a symbolic link to nothing");
  if (status.isDirectory) throw refuse("is a folder, expected a file");
  const input = await inputAt(out, inputs);
  if (input !== undefined) throw refuse(`is the input ${input}`);
  if (status.isFile && await kind.isOurs(out)) return;
  throw refuse(
    `exists and is not ${kind.name} that this command wrote, so it is not overwritten; or remove it`,
  );
}

/**
 * Checks a folder that files are to be written into, with files that lie in it and that an earlier output may have left.
 *
 * @param names of the files; the first tells whether all of them are an earlier output
 * @throws {UsageError} saying what is there
 */
export async function guardOutputFolder(
  out: string,
  kind: OutputKind,
  names: readonly string[],
  inputs: Inputs,
): Promise<void> {
  const refuse = (what: string) => new UsageError(`--out ${out} ${what}. Give another --out.`);
  const input = await inputAt(out, inputs);
  if (input !== undefined) throw refuse(`is the input ${input}`);
  if (await RunFolder.holdsRun(out)) throw refuse("is the folder of a run");
  if (await holdsCheckpoints(out)) throw refuse("is the folder of a run's checkpoints");
  const first = join(out, names[0]);
  if (await look(first, false) && await kind.isOurs(first)) return;
  for (const name of names) {
    if (!await look(join(out, name), false)) continue;
    throw refuse(`holds a ${name} that is not of ${kind.name}, so it is not overwritten; or remove it`);
  }
}

/**
 * Checks the folder of a new run.
 *
 * @throws {UsageError} when it is an input
 */
export async function guardRunFolder(out: string, inputs: Inputs): Promise<void> {
  const input = await inputAt(out, inputs);
  if (input !== undefined) throw new UsageError(`--out ${out} is the input ${input}. Give another --out.`);
  if (await holdsCheckpoints(out)) {
    throw new UsageError(`--out ${out} is the folder of a run's checkpoints. Give another --out.`);
  }
}

/** Whether a file's metadata, when it is a safetensors file, satisfy a condition. */
async function metadataSay(
  path: string,
  condition: (metadata: Readonly<Record<string, string>>) => boolean,
): Promise<boolean> {
  return await readSafetensorsHeader(path).then(({ metadata }) => condition(metadata), () => false);
}

/** `deno task extract`, as .safetensors. */
export const modelOutput: OutputKind = {
  name: "an extracted model",
  isOurs: (path) => metadataSay(path, ({ format }) => format?.startsWith("scion-model-") ?? false),
};

/** The first bytes of a file, each as a character. */
async function firstBytes(path: string): Promise<string> {
  using file = await Deno.open(path);
  const start = new Uint8Array(64);
  const count = await readFull(file, start);
  return new TextDecoder("latin1").decode(start.subarray(0, count));
}

/** `deno task evaluate`, a fine-tuned network as .safetensors: it has a classifier, which extracted ones have not. */
export const tunedOutput: OutputKind = {
  name: "a fine-tuned model",
  isOurs: (path) =>
    metadataSay(
      path,
      ({ format, classes }) => format?.startsWith("scion-model-") === true && classes !== undefined,
    ),
};

/** The same as .onnx. */
export const tunedOnnxOutput: OutputKind = {
  name: "a fine-tuned model",
  isOurs: (path) =>
    describeOnnxFile(path).then(
      ({ metadata: { format, classes } }) => format?.startsWith("scion-model-") && classes !== undefined,
      () => false,
    ),
};

/** `deno task extract`, as .onnx: its first fields are the format's version and who wrote it. */
export const onnxOutput: OutputKind = {
  name: "an extracted model",
  isOurs: async (path) => (await firstBytes(path)).startsWith("\b\x08\x12\x05scion"),
};

/** `deno task extract --loader`. */
export const loaderOutput: OutputKind = {
  name: "a loader",
  isOurs: async (path) => (await firstBytes(path)).startsWith(loaderMark),
};

/** `deno task embed`, by the ending of its file. */
export const featuresOutputs: Readonly<Record<FeatureFormat, OutputKind>> = {
  safetensors: {
    name: "a file of features",
    isOurs: (path) =>
      metadataSay(path, ({ scion, arch, source, format }) => Boolean(scion && arch && source && !format)),
  },
  npz: {
    name: "a file of features",
    async isOurs(path) {
      const start = await firstBytes(path);
      using file = await Deno.open(path);
      const { size } = await file.stat();
      if (!start.startsWith("PK") || size < npzComment.length) return false;
      const end = new Uint8Array(npzComment.length);
      await file.seek(size - end.length, Deno.SeekMode.Start);
      await readFull(file, end);
      return new TextDecoder("latin1").decode(end) === npzComment;
    },
  },
  csv: {
    name: "a file of features",
    isOurs: async (path) => (await firstBytes(path)).startsWith(csvHead({ leading: csvLeading, columns: 1 })),
  },
};

/** Whether a JSON file is of ours and has these lists. */
async function hasLists(path: string, ...names: string[]): Promise<boolean> {
  const value: unknown = await Deno.readTextFile(path).then(JSON.parse).catch(() => undefined);
  const fields = (value ?? {}) as Record<string, unknown>;
  return typeof fields.version === "string" && names.every((name) => Array.isArray(fields[name]));
}

/** `deno task search`, by its ranking.json. */
export const searchOutput: OutputKind = {
  name: "a search",
  isOurs: (path) => hasLists(path, "ranking", "groups"),
};

/** `deno task search --shard`, by its shard.safetensors. */
export const shardOutput: OutputKind = {
  name: "a shard of a search",
  isOurs: (path) => metadataSay(path, ({ shard }) => shard !== undefined),
};

/** `deno task compare`, by its comparison.json. */
export const compareOutput: OutputKind = {
  name: "a comparison",
  isOurs: (path) => hasLists(path, "rows"),
};

/** `deno task correlate`, by its correlation.json. */
export const correlateOutput: OutputKind = {
  name: "a correlation",
  isOurs: (path) => hasLists(path, "subnets", "correlations"),
};

/** `deno task evaluate`, by the first line of its results.jsonl. */
export const evaluateOutput: OutputKind = {
  name: "an evaluation",
  async isOurs(path) {
    const [line] = (await Deno.readTextFile(path)).split("\n", 1);
    const first = await Promise.resolve(line).then(JSON.parse).catch(() => undefined);
    return typeof first?.version === "string" && typeof first?.protocol === "string";
  },
};

/** `deno task finetune`, by its finetune.json. */
export const finetuneOutput: OutputKind = {
  name: "a fine-tuning",
  async isOurs(path) {
    const value: unknown = await Deno.readTextFile(path).then(JSON.parse).catch(() => undefined);
    const { version, task } = (value ?? {}) as Record<string, unknown>;
    return typeof version === "string" && typeof task === "string";
  },
};
