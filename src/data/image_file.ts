/** Reading one image's file, whatever it has become since it was listed. */

import { readFull } from "../store/read_full.ts";

/** Longest file that is read as an image. */
const mostBytes = 2 ** 30;

/** What the system says, in the words that users see. */
export function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "it is not there";
  if (error instanceof Deno.errors.PermissionDenied) return "permission to read it is denied";
  // Without the path, which is named beside the reason.
  if (error instanceof Error) {
    return error.message.replace(/: (open|read|stat|readdir|realpath)[a-z]* '.*$/s, "");
  }
  return String(error);
}

/** Bytes of a file: all of them, or so many from a place on. */
export interface FileRange {
  readonly path: string;
  readonly part?: { readonly start: number; readonly length: number };
}

/**
 * Reads an image's bytes.
 *
 * @throws {Error} whose message is the reason: the file is gone, may not be read, is no regular file (a pipe would wait for
 * ever), ends before the part does, or is too long
 */
export async function readImageFile({ path, part }: FileRange): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) throw new Error("it is no regular file");
    const { start, length } = part ?? { start: 0, length: size };
    if (length > mostBytes) throw new Error(`it has ${length} bytes; at most ${mostBytes} are read`);
    return part ? await readPart(path, start, length) : await Deno.readFile(path);
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error });
  }
}

async function readPart(path: string, start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  await file.seek(start, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  if (await readFull(file, bytes) < length) throw new Error("its archive has become shorter");
  return bytes;
}
