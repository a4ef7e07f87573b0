/**
 * The checksum of a safetensors file: SHA-256 of its tensors' bytes in the order of the file, followed by everything
 * before them (length, header, padding) with the checksum itself as zeros. It is kept in the metadata, where other
 * programs pass over it, and covers every byte of the file.
 */
import { createHash } from "node:crypto";
import { DataError } from "../errors.ts";

/** The metadata key that holds the checksum. */
export const checksumKey = "scion.sha256";

/** Stands in the header while the checksum is taken. */
export const blankChecksum = "0".repeat(64);

const digits = blankChecksum.length;

/** Takes the checksum of a file while its parts come. */
export class FileChecksum {
  readonly #hash = createHash("sha256");

  /** Adds tensor bytes, in the order of the file. */
  add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /**
   * Completes the checksum with the header, once, and puts it into the header.
   * @param header length, JSON and padding, with {@linkcode blankChecksum} under {@linkcode checksumKey}; changed
   */
  seal(header: Uint8Array): void {
    this.#hash.update(header);
    header.set(new TextEncoder().encode(this.#hash.digest("hex")), placeOf(header)!);
  }

  /**
   * Completes the checksum with a header that was read, once.
   * @returns whether it is the one that the header holds
   */
  matches(header: Uint8Array, stored: string): boolean {
    const place = placeOf(header);
    if (place === undefined) return false;
    const blank = header.slice();
    blank.fill("0".charCodeAt(0), place, place + digits);
    this.#hash.update(blank);
    return this.#hash.digest("hex") === stored;
  }
}

/** Where the checksum begins in a header as this program writes it. */
function placeOf(header: Uint8Array): number | undefined {
  const marker = `"${checksumKey}":"`;
  // Quotes within a JSON string are escaped, so that the marker is found nowhere else. One byte is one character here.
  const at = new TextDecoder("latin1").decode(header).indexOf(marker);
  return at < 0 ? undefined : at + marker.length;
}

/** Separates the checksum from the rest of a file's metadata. */
export function takeChecksum(
  path: string,
  metadata: Readonly<Record<string, string>>,
): { metadata: Record<string, string>; checksum: string | undefined } {
  const { [checksumKey]: checksum, ...rest } = metadata;
  if (checksum === undefined || /^[0-9a-f]{64}$/.test(checksum)) return { metadata: rest, checksum };
  throw new DataError(
    `${path} is damaged: its checksum is ${
      JSON.stringify(checksum.slice(0, 80))
    }, expected 64 hexadecimal digits. ` +
      `Copy or write it again.`,
  );
}
