/** What an evaluation leaves in its folder: `results.jsonl`, `report.html`, fine-tuned models. */
import { join } from "@std/path";
import { z } from "zod";
import { DataError, UsageError } from "../errors.ts";
import type { JudgedNetwork } from "../studies/evaluate/request.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { removeFile } from "../store/remove_file.ts";

/** Names of the files; the first tells whether a folder holds an evaluation. */
export const evaluateFileNames = ["results.jsonl", "report.html"] as const;

const interruptedName = "interrupted.jsonl";

/** The first line of the file: what decides about the results. */
export interface EvaluationHeader {
  readonly version: string;
  readonly protocol: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Checkpoint or models, and images. */
  readonly inputs: Readonly<Record<string, string>>;
}

const share = z.number().min(0).max(1);
const count = z.int().min(0);
const judgedSchema = z.object({
  network: z.string(),
  arch: z.string(),
  macs: count,
  params: count,
  accuracy: share,
  interval: z.tuple([share, share]),
  perClass: z.array(share.nullable()),
  confusion: z.array(z.array(count)),
  chosen: z.record(z.string(), z.union([z.string(), z.number()])),
  untrained: share.optional(),
  mistakes: z.array(z.object({ index: count, actual: count, predicted: count, confidence: z.number() })),
});

const headerSchema = z.object({
  version: z.string(),
  protocol: z.string(),
  settings: z.record(z.string(), z.unknown()),
  inputs: z.record(z.string(), z.string()),
});

/** Networks that are judged, line by line, so that an interrupted evaluation can go on. */
export class EvaluationFolder {
  readonly known: readonly JudgedNetwork[];
  readonly #lines: string[];

  /** @param goesOn whether an interrupted one was found */
  private constructor(
    readonly path: string,
    header: EvaluationHeader,
    known: readonly JudgedNetwork[],
    readonly goesOn: boolean,
  ) {
    this.known = known;
    this.#lines = [header, ...known].map((line) => JSON.stringify(line));
  }

  /**
   * Opens the folder of an evaluation.
   *
   * @throws {UsageError} when it holds an interrupted one, and this is none that goes on, or one of other settings
   */
  static async open(path: string, header: EvaluationHeader, resume: boolean): Promise<EvaluationFolder> {
    const interrupted = join(path, interruptedName);
    let text: string;
    try {
      text = await Deno.readTextFile(interrupted);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return new EvaluationFolder(path, header, [], false);
      throw error;
    }
    if (!resume) {
      throw new UsageError(
        `${path} holds an interrupted evaluation. Continue it with --resume, remove ${interrupted}, or give another --out.`,
      );
    }
    try {
      const [line, ...lines] = text.trimEnd().split("\n").map((line) => JSON.parse(line));
      const first = headerSchema.parse(line);
      for (const name of Object.keys(header) as (keyof EvaluationHeader)[]) {
        if (JSON.stringify(first[name]) === JSON.stringify(header[name])) continue;
        throw new UsageError(
          `--resume: the interrupted evaluation in ${path} had other ${name}. Give the same flags, or another --out.`,
        );
      }
      return new EvaluationFolder(path, header, lines.map((line) => judgedSchema.parse(line)), true);
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof z.ZodError)) throw error;
      throw new DataError(`${interrupted} is damaged. Remove it to begin anew.`, { cause: error });
    }
  }

  /** Keeps a judged network. */
  async add(judged: JudgedNetwork): Promise<void> {
    this.#lines.push(JSON.stringify(judged));
    await this.begin();
  }

  /** Notes that this evaluation is under way, before anything else of it is written. */
  async begin(): Promise<void> {
    await writeFileAtomically(join(this.path, interruptedName), this.#lines.join("\n") + "\n");
  }

  /** Forgets an evaluation that never will be done, where it has judged nothing; whether it is forgotten. */
  async abandon(): Promise<boolean> {
    if (this.#lines.length > 1) return false;
    await removeFile(join(this.path, interruptedName));
    return true;
  }

  /** All are judged. Returns the paths of the results and of the report. */
  async finish(report: string): Promise<{ file: string; report: string }> {
    const [file, page] = evaluateFileNames.map((name) => join(this.path, name));
    await writeFileAtomically(file, this.#lines.join("\n") + "\n");
    await writeFileAtomically(page, report);
    await removeFile(join(this.path, interruptedName));
    return { file, report: page };
  }
}
