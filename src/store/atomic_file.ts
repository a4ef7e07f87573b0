/**
 * Files that are either whole or not there. Everything is written beside its destination, forced to the disk and
 * renamed into place, so that a process killed at any moment leaves the old file or the new one.
 */

import { basename, dirname, join } from "@std/path";
import { DataError } from "../errors.ts";

/** Bounds what the runtime buffers for one write, so that a tensor of gigabytes is never copied as a whole. */
const chunkBytes = 16 * 2 ** 20;

/**
 * Writes all of `bytes` at the file's position.
 *
 * @throws whatever the file system reports; {@linkcode writeAtomically} turns it into a {@linkcode DataError}.
 */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.byteLength;) {
    const count = await file.write(bytes.subarray(written, Math.min(written + chunkBytes, bytes.byteLength)));
    if (count === 0) throw new Deno.errors.WriteZero(`${written} of ${bytes.byteLength} bytes were taken`);
    written += count;
  }
}

/**
 * Forces a folder's entries to the disk, so that a rename in it survives a power cut. Windows offers no such call.
 */
async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await folder.sync();
}

/**
 * Lets `write` fill a file beside `path` that no other process uses, forces it to the disk and renames it to `path`. One
 * whose `write` fails is removed and the destination stays as it was; what killed processes left there is removed.
 *
 * @throws {DataError} when the file system refuses, with its reason. Errors that are not the file system's pass through.
 */
export async function writeAtomically(
  path: string,
  write: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  const partial = `${path}.${crypto.randomUUID().slice(0, 8)}.partial`;
  let created = false;
  try {
    await removeLeftovers(path);
    {
      using file = await Deno.open(partial, { write: true, createNew: true });
      created = true;
      // Tells other processes that somebody is at work; the system takes the lock back when the process ends.
      await tryLock(file);
      await write(file);
      await file.sync();
    }
    await Deno.rename(partial, path);
    created = false;
    await syncFolder(dirname(path));
  } catch (error) {
    if (created) await removeIfThere(partial);
    throw asWriteError(path, error);
  }
}

/** A file that is not locked within this time of its last change has no writer. */
const millisecondsToLock = 5000;

/** Removes the partial files of one destination that processes left when they were killed. */
async function removeLeftovers(path: string): Promise<void> {
  const name = basename(path);
  for await (const entry of Deno.readDir(dirname(path))) {
    if (!entry.name.startsWith(name) || !/^(\.[0-9a-f]{8})?\.partial$/.test(entry.name.slice(name.length))) {
      continue;
    }
    const leftover = join(dirname(path), entry.name);
    try {
      using file = await Deno.open(leftover, { read: true, write: true });
      const { mtime } = await file.stat();
      const fresh = mtime !== null && Date.now() - mtime.getTime() < millisecondsToLock;
      if (!fresh && await tryLock(file) === true) await Deno.remove(leftover);
    } catch (error) {
      // Its writer has renamed or removed it meanwhile, or it is somebody else's: then it stays.
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) continue;
      throw error;
    }
  }
}

/**
 * Locks a file for this process until it is closed.
 *
 * @returns whether it was free; undefined on file systems that know no locks
 */
export async function tryLock(file: Deno.FsFile): Promise<boolean | undefined> {
  try {
    return await file.tryLock(true);
  } catch (error) {
    // ENOLCK, ENOSYS, EOPNOTSUPP and the like.
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}

/**
 * Writes a whole file atomically ({@linkcode writeAtomically}); a string is written as UTF-8.
 *
 * @throws {DataError} when the file system refuses, with its reason.
 */
export async function writeFileAtomically(path: string, contents: Uint8Array | string): Promise<void> {
  const bytes = typeof contents === "string" ? new TextEncoder().encode(contents) : contents;
  await writeAtomically(path, (file) => writeAll(file, bytes));
}

/**
 * A failed write as a {@linkcode DataError} that says what to do. Errors that are not the file system's are returned
 * as they are.
 */
export function asWriteError(path: string, error: unknown): unknown {
  // An aborted signal's error has a code, too, but a number.
  const fromFileSystem = error instanceof Error &&
    ("code" in error && typeof error.code === "string" || error.name in Deno.errors);
  if (!fromFileSystem) return error;
  return new DataError(
    `Cannot write ${path}: ${error.message}. Check that the folder exists, that you may write there and that the disk has room.`,
    { cause: error },
  );
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
