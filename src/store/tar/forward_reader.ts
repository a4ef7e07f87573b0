/** Reading parts of a file that follow each other, without what lies between. */
import { type ByteReader, readFull } from "../read_full.ts";

/** What is read from, e.g. an open file. */
export interface SeekableReader extends ByteReader {
  seek(offset: number, whence: Deno.SeekMode): Promise<number>;
}

/** Fewest and most bytes that are read at once. */
const leastBytes = 2 ** 12, mostBytes = 2 ** 18;
/** A part that begins so many bytes behind what is held lies close to it. */
const closeBytes = 2 ** 14;

/**
 * Reads parts of a file. It reads ahead, the more the longer the parts have lain close together: headers of small files
 * come in few long reads, of those between large files little else is read.
 */
export class ForwardReader {
  #start = 0;
  #held = new Uint8Array(0);
  #buffer = new Uint8Array(leastBytes);

  constructor(readonly file: SeekableReader) {}

  /**
   * Bytes from `start` on: as many as were asked for, fewer only at the end of the file. They are overwritten by the next
   * call.
   */
  async read(start: number, length: number): Promise<Uint8Array> {
    const held = this.#start + this.#held.length;
    if (start < this.#start || start + length > held) {
      const near = start >= this.#start && start <= held + closeBytes;
      const ahead = near ? Math.min(mostBytes, 2 * this.#buffer.length) : leastBytes;
      const wanted = Math.max(length, ahead);
      if (this.#buffer.length !== wanted) this.#buffer = new Uint8Array(wanted);
      await this.file.seek(start, Deno.SeekMode.Start);
      this.#start = start;
      this.#held = this.#buffer.subarray(0, await readFull(this.file, this.#buffer));
    }
    const from = start - this.#start;
    return this.#held.subarray(from, from + length);
  }
}
