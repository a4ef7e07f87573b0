/** Telling versions of a large file apart. */
import { DataError } from "../errors.ts";
import { digest } from "./digest.ts";
import { readFull } from "./read_full.ts";

const pieces = 16;
const pieceBytes = 2 ** 16;

/**
 * Tells versions of a large file apart without reading all of it: its length, and a digest of pieces from start to end.
 * Every step of training changes every weight, so pieces are enough.
 *
 * @throws {DataError} when the file cannot be read
 */
export async function fileFingerprint(path: string): Promise<string> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const sample = new Uint8Array(pieces * pieceBytes);
    for (let piece = 0; piece < pieces; piece++) {
      await file.seek(Math.floor(piece * Math.max(0, size - pieceBytes) / (pieces - 1)), Deno.SeekMode.Start);
      await readFull(file, sample.subarray(piece * pieceBytes, (piece + 1) * pieceBytes));
    }
    return `${size} bytes, ${await digest(sample)}`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new DataError(`Cannot read ${path}: ${error.message}.`, { cause: error });
  }
}
