/**
 * Files that are either whole or not there. Everything is written beside its destination, forced to the disk and
 * renamed into place, so that a process killed at any moment leaves the old file or the new one.
 */

import { dirname } from "@std/path";
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
    written += await file.write(bytes.subarray(written, Math.min(written + chunkBytes, bytes.byteLength)));
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
 * Lets `write` fill `path + ".partial"`, forces it to the disk and renames it to `path`. A partial file that a
 * killed process left is overwritten; one whose `write` fails is removed and the destination stays as it was.
 *
 * @throws {DataError} when the file system refuses, with its reason. Errors that are not the file system's pass through.
 */
export async function writeAtomically(
  path: string,
  write: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  const partial = path + ".partial";
  let created = false;
  try {
    {
      using file = await Deno.open(partial, { write: true, create: true, truncate: true });
      created = true;
      await write(file);
      await file.sync();
    }
    await Deno.rename(partial, path);
    await syncFolder(dirname(path));
  } catch (error) {
    if (created) await removeIfThere(partial);
    throw asWriteError(path, error);
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
