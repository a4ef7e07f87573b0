/**
 * Choices between kernel variants on the disk, a file for each adapter. They hold for what they were measured with: the
 * adapter and its driver, Deno, this version, and the kernels' sources. Nothing depends on them but speed, so a file that
 * is damaged or does not fit is passed over.
 */
import { z } from "zod";
import type { Gpu } from "../gpu/device.ts";
import { asWriteError, writeFileAtomically } from "../store/atomic_file.ts";
import { convolutionKernels } from "../tensor/ops/convolution_kernels.ts";
import { version } from "../version.ts";

/** Where the commands keep the files, below the working directory. */
export const tuningFolder = ".cache";

/** What choices hold for. */
const keySchema = z.object({
  format: z.literal(1),
  /** Description, vendor, architecture and device; software drivers put their version into the description. */
  adapter: z.string(),
  deno: z.string(),
  scion: z.string(),
  /** SHA-256 of the kernels that are chosen from. */
  kernels: z.string(),
});

const fileSchema = z.object({
  ...keySchema.shape,
  /** Name of the variant by bucket. */
  choices: z.record(z.string(), z.string()),
});

type Key = z.infer<typeof keySchema>;

/** What was found on the disk: the choices, or why there are none. */
export interface StoredTuning {
  readonly path: string;
  readonly choices: ReadonlyMap<string, string>;
  /** Why a file that is there is not used: a whole sentence. */
  readonly fault?: string;
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function keyOf({ device: { adapterInfo } }: Gpu): Promise<Key> {
  const { description, vendor, architecture, device } = adapterInfo;
  return {
    format: 1,
    adapter: [description, vendor, architecture, device].join(" | "),
    deno: Deno.version.deno,
    scion: version,
    kernels: await sha256(JSON.stringify(convolutionKernels)),
  };
}

async function pathOf(key: Key, folder: string): Promise<string> {
  return `${folder}/tuning-${(await sha256(key.adapter)).slice(0, 12)}.json`;
}

/** In what a file's key differs, for people. */
function difference(found: Key, wanted: Key): string | undefined {
  if (found.adapter !== wanted.adapter) return "on another adapter";
  if (found.deno !== wanted.deno) return `with Deno ${found.deno}`;
  if (found.scion !== wanted.scion) return `with Scion ${found.scion}`;
  return found.kernels !== wanted.kernels ? "with other kernels" : undefined;
}

const remedy = 'the default kernel variants are used. "deno task tune" measures anew.';

/** Reads the choices for this device. Never fails: what cannot be used is not used, and `fault` says why. */
export async function readTuning(gpu: Gpu, folder: string = tuningFolder): Promise<StoredTuning> {
  const wanted = await keyOf(gpu);
  const path = await pathOf(wanted, folder);
  const nothing = { path, choices: new Map<string, string>() };
  try {
    const text = await Deno.readTextFile(path);
    const { choices, ...found } = fileSchema.parse(JSON.parse(text));
    const differs = difference(found, wanted);
    if (differs !== undefined) return { ...nothing, fault: `${path} was measured ${differs}: ${remedy}` };
    return { path, choices: new Map(Object.entries(choices)) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return nothing;
    const reason = error instanceof SyntaxError || error instanceof z.ZodError
      ? "is damaged"
      : `cannot be read (${error instanceof Error ? error.message : error})`;
    return { ...nothing, fault: `${path} ${reason}: ${remedy}` };
  }
}

/**
 * Writes choices for this device; those of other buckets that still hold are kept.
 *
 * @returns the file's path
 * @throws {DataError} when the file system refuses
 */
export async function writeTuning(
  gpu: Gpu,
  choices: ReadonlyMap<string, string>,
  folder: string = tuningFolder,
): Promise<string> {
  const stored = await readTuning(gpu, folder);
  const all = [...new Map([...stored.choices, ...choices])].sort(([a], [b]) => a < b ? -1 : 1);
  await makeFolder(folder);
  const contents = { ...await keyOf(gpu), choices: Object.fromEntries(all) };
  await writeFileAtomically(stored.path, JSON.stringify(contents, null, 2) + "\n");
  return stored.path;
}

async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw asWriteError(path, error);
  }
}
