/** Reading that does not end early: the system may give fewer bytes than were asked for, at any time. */

/** What bytes are read from, e.g. an open file. */
export interface ByteReader {
  read(bytes: Uint8Array): Promise<number | null>;
}

/**
 * Reads until the bytes are filled or there are no more.
 *
 * @returns how many were read
 */
export async function readFull(reader: ByteReader, bytes: Uint8Array): Promise<number> {
  let filled = 0;
  while (filled < bytes.byteLength) {
    const count = await reader.read(bytes.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return filled;
}
