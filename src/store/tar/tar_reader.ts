/** The members of a tar archive, found by its headers alone. */
import { DataError } from "../../errors.ts";
import { type Extended, parsePax } from "./extended_header.ts";
import { ForwardReader, type SeekableReader } from "./forward_reader.ts";
import {
  blockBytes,
  decodeName,
  HeaderFault,
  isZeroBlock,
  parseHeader,
  type TarHeader,
  untilNul,
} from "./header.ts";

/** A regular file in an archive. */
export interface TarMember {
  /** As it is written there, without `./` at its start. */
  readonly name: string;
  /** Where its data begin, in bytes from the archive's start. */
  readonly start: number;
  readonly length: number;
  /** When it was changed last, in seconds since 1970. */
  readonly modified: number;
}

/** Most bytes of a long name, or of records about a member. */
const mostExtendedBytes = 2 ** 20;

/** Types of headers that say something of the member whose header follows, or of all. */
const extendedTypes = "xXgLK";

/** Types of members without data, whatever size is given: links, devices, folders, pipes, names of volumes. */
const withoutData = "123456V";

const compressions: readonly (readonly [start: string, name: string])[] = [
  ["\x1f\x8b", "gzip"],
  ["\x28\xb5\x2f\xfd", "zstd"],
  ["\xfd7zXZ", "xz"],
  ["BZh", "bzip2"],
];

/**
 * Reads an archive from its start to its end, member after member: ustar, pax and GNU's long names, each header with its
 * checksum. Data are passed over. Links, folders and devices are left out; of members that are there twice both are given.
 */
export class TarReader {
  readonly #bytes: ForwardReader;
  #position = 0;
  #everywhere: Extended = {};

  /**
   * @param path for messages
   * @param size of the archive, in bytes
   */
  constructor(readonly path: string, readonly size: number, file: SeekableReader) {
    this.#bytes = new ForwardReader(file);
  }

  /**
   * The next regular file; undefined at the archive's end.
   *
   * @throws {DataError} naming the archive and the place, when it is damaged, ends early, is compressed, or holds a file
   * with holes or a part of one
   */
  async next(): Promise<TarMember | undefined> {
    let extended = this.#everywhere;
    for (;;) {
      const at = this.#position;
      const block = await this.#bytes.read(at, blockBytes);
      if (block.length < blockBytes) throw this.#endsEarly("without the zeros that end an archive");
      if (isZeroBlock(block)) {
        await this.#expectZeros(at);
        return undefined;
      }
      const header = this.#parse(at, block);
      const { type } = header;
      if (extendedTypes.includes(type)) {
        extended = { ...extended, ...await this.#readExtended(at, header) };
        continue;
      }
      const member = this.#pass(at, header, extended);
      if (extended.sparse || type === "S") throw this.#refuse(member, "has holes (a sparse file)");
      if (type === "M") throw this.#refuse(member, "is the rest of a file in another archive");
      // An old archive has folders as files whose names end so.
      if ((type === "0" || type === "7") && !member.name.endsWith("/")) return member;
      extended = this.#everywhere;
    }
  }

  /** The data of the member that was found last. */
  async contents({ start, length }: Pick<TarMember, "start" | "length">): Promise<Uint8Array> {
    return await this.#bytes.read(start, length);
  }

  #parse(at: number, block: Uint8Array): TarHeader {
    try {
      return parseHeader(block);
    } catch (error) {
      if (!(error instanceof HeaderFault)) throw error;
      throw at === 0 ? this.#noArchive(error, block) : this.#damaged(at, error);
    }
  }

  /** Goes on behind a member's data. */
  #pass(at: number, { name, size, type, modified }: TarHeader, extended: Extended): TarMember {
    const length = withoutData.includes(type) ? 0 : extended.size ?? size;
    const member = { name: trimDot(extended.name ?? name), start: at + blockBytes, length, modified };
    if (member.start + length > this.size) throw this.#endsEarly(`within its member "${member.name}"`);
    this.#position = member.start + blockBytes * Math.ceil(length / blockBytes);
    return member;
  }

  async #readExtended(at: number, header: TarHeader): Promise<Extended> {
    const { type, size } = header;
    if (size > mostExtendedBytes) throw this.#damaged(at, new HeaderFault(`gives a name ${size} bytes`));
    const bytes = await this.contents(this.#pass(at, header, {}));
    if (type === "L") return { name: decodeName(untilNul(bytes)) };
    if (type === "K") return {};
    try {
      const extended = parsePax(bytes);
      if (type === "g") this.#everywhere = { ...this.#everywhere, ...extended };
      return extended;
    } catch (error) {
      throw error instanceof HeaderFault ? this.#damaged(at, error) : error;
    }
  }

  /** Programs fill the last blocks up with zeros; a second archive behind the first would be lost without a word. */
  async #expectZeros(start: number): Promise<void> {
    for (let at = start; at < this.size; at += blockBytes) {
      if (isZeroBlock(await this.#bytes.read(at, blockBytes))) continue;
      throw new DataError(
        `"${this.path}" goes on behind its end, at byte ${at}. Join archives with tar --concatenate, or give them one ` +
          "by one.",
      );
    }
  }

  #refuse({ name }: TarMember, why: string): DataError {
    return new DataError(
      `"${this.path}": its member "${name}" ${why}, which is not read. Write the archive anew.`,
    );
  }

  #endsEarly(where: string): DataError {
    return new DataError(
      `"${this.path}" ends early, at byte ${this.size}, ${where}. Copy or write it again.`,
    );
  }

  #damaged(at: number, { message }: HeaderFault): DataError {
    return new DataError(
      `"${this.path}" is damaged at byte ${at}: the header ${message}. Copy or write it again.`,
    );
  }

  #noArchive({ message }: HeaderFault, block: Uint8Array): DataError {
    const start = String.fromCharCode(...block.subarray(0, 8));
    const compression = compressions.find(([signature]) => start.startsWith(signature));
    if (!compression) return new DataError(`"${this.path}" is no tar archive: its first header ${message}`);
    return new DataError(
      `"${this.path}" is compressed (${
        compression[1]
      }). Members are read out of the middle of an archive, so unpack it ` +
        "first; images would hardly become smaller by it.",
    );
  }
}

function trimDot(name: string): string {
  return name.replace(/^(\.\/+)+/, "");
}
