/**
 * One process at a time writes into a folder. The lock is the system's own (flock) on a file in it, which ends with the
 * process, however that ends; what the file says is for messages alone.
 */
import { dirname } from "@std/path";
import { UsageError } from "../errors.ts";
import { asWriteError, tryLock, writeAll } from "./atomic_file.ts";

/** Who holds a lock. */
interface Holder {
  readonly process: number;
  /** Name of the machine, where it is known. */
  readonly host?: string;
  /** Time, as ISO 8601. */
  readonly started: string;
}

/** A folder that no other process writes into until this is released. */
export class FolderLock implements AsyncDisposable {
  #file: Deno.FsFile | undefined;

  private constructor(readonly path: string, file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Takes the lock.
   *
   * @param path the lock's file; its folder must exist
   * @param onWarning told that an earlier process was killed, or that the file system has no locks
   * @throws {UsageError} when another process holds it, with that one's number
   * @throws {DataError} when the file system refuses
   */
  static async take(path: string, onWarning: (text: string) => void): Promise<FolderLock> {
    for (;;) {
      const file = await open(path);
      try {
        const taken = await tryLock(file);
        if (taken === false) throw heldBy(path, await readHolder(path));
        // Another process may have released and removed this file after it was opened: then there is a new one.
        if (!await isAt(file, path)) {
          file.close();
          continue;
        }
        if (taken === undefined) {
          onWarning(
            `${dirname(path)} is on a file system without locks: see to it that one process uses it.`,
          );
        } else {
          const last = await readHolder(path);
          if (last) {
            onWarning(
              `The last process that used ${dirname(path)} (${describe(last)}) was killed; going on.`,
            );
          }
        }
        await writeHolder(file);
        return new FolderLock(path, file);
      } catch (error) {
        file.close();
        throw asWriteError(path, error);
      }
    }
  }

  /** Gives the lock back and removes its file. */
  async release(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return;
    try {
      // Only what is still ours: the folder may be gone, or another in its place.
      if (await isAt(file, this.path)) await Deno.remove(this.path);
    } finally {
      file.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

async function open(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { read: true, write: true, create: true });
  } catch (error) {
    throw asWriteError(path, error);
  }
}

/** Whether the path still leads to this open file. */
async function isAt(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    const [one, other] = [await file.stat(), await Deno.stat(path)];
    return one.ino === other.ino && one.dev === other.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function writeHolder(file: Deno.FsFile): Promise<void> {
  const holder: Holder = { process: Deno.pid, host: await hostName(), started: new Date().toISOString() };
  await file.truncate();
  await file.seek(0, Deno.SeekMode.Start);
  await writeAll(file, new TextEncoder().encode(JSON.stringify(holder) + "\n"));
}

/** What the file says; undefined for a new one, or one whose process was killed before it wrote. */
async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const value: unknown = JSON.parse(await Deno.readTextFile(path));
    const holder = value as Holder | null;
    if (typeof holder?.process === "number" && typeof holder.started === "string") return holder;
  } catch (error) {
    // Half written, removed meanwhile, or (on Windows) not readable while it is locked: only the message is poorer.
    if (!(error instanceof Error)) throw error;
  }
}

/** The machine's name, from the file that Linux keeps it in: Deno's own call needs a permission more. */
async function hostName(): Promise<string | undefined> {
  try {
    return (await Deno.readTextFile("/etc/hostname")).trim() || undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

function describe({ process, host, started }: Holder): string {
  return `process ${process}${host ? ` on ${host}` : ""}, since ${started}`;
}

function heldBy(path: string, holder: Holder | undefined): UsageError {
  return new UsageError(
    `${dirname(path)} is in use by another process${
      holder ? ` (${describe(holder)})` : ""
    }. Wait until it is done or ` +
      `stop it, or give another folder.`,
  );
}
