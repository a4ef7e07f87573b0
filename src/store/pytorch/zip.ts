/**
 * Reading zip archives as PyTorch writes them: entries that are stored, not compressed, so that none is larger than the file.
 * What an entry is and where it lies is taken from the central directory at the archive's end, and checked against the file
 * before anything is read.
 */
import { crc32 } from "node:zlib";
import { DataError } from "../../errors.ts";
import { readFull } from "../read_full.ts";

/** One file within an archive. */
export interface ZipEntry {
  readonly name: string;
  readonly byteLength: number;
  /** Bytes that it takes in the archive: fewer than its own where it is compressed. */
  readonly storedLength: number;
  readonly compressed: boolean;
  /** CRC-32 of its bytes. */
  readonly checksum: number;
  /** Where its local header begins, in bytes from the start of the archive. */
  readonly offset: number;
}

/** Bytes of the structures, without their names and extra fields. */
const endBytes = 22, directoryEntryBytes = 46, localHeaderBytes = 30;
/** A comment behind the end of the directory has at most so many bytes. */
const mostCommentBytes = 0xffff;
/** Far above what a network's file has; a hundred thousand entries take 10 MB here. */
const mostDirectoryBytes = 16 * 2 ** 20;

const signatures = { end: 0x06054b50, directoryEntry: 0x02014b50, localHeader: 0x04034b50 };
/** Stands for a number that only zip64's larger fields hold. */
const beyond32Bits = 0xffff_ffff, beyond16Bits = 0xffff;

/** An archive that is open. Takes over the file; close it, or declare it with `using`. */
export class ZipArchive implements Disposable {
  readonly #file: Deno.FsFile;
  /** Where the central directory begins: entries end before. */
  readonly #directory: number;

  private constructor(
    readonly path: string,
    readonly entries: ReadonlyMap<string, ZipEntry>,
    file: Deno.FsFile,
    directory: number,
  ) {
    this.#file = file;
    this.#directory = directory;
  }

  /**
   * Reads the directory.
   *
   * @param file open for reading; closed by the archive, or by the caller where this fails
   * @throws {DataError} for a file that is no zip archive, is truncated, or has entries that are encrypted, outside the file,
   *   or that overlap
   */
  static async open(file: Deno.FsFile, path: string): Promise<ZipArchive> {
    const { size } = await file.stat();
    const tail = await readAt(file, path, Math.max(0, size - endBytes - mostCommentBytes), size);
    const end = findEnd(tail);
    if (end === undefined) {
      throw new DataError(
        `${path} is truncated (an interrupted copy or download?): it begins as a zip archive and has no directory at its ` +
          `end. Copy or write it again.`,
      );
    }
    const disks = end.getUint16(4, true);
    const count = end.getUint16(10, true);
    const length = end.getUint32(12, true);
    const start = end.getUint32(16, true);
    if (count === beyond16Bits || length === beyond32Bits || start === beyond32Bits) {
      throw new DataError(
        `${path} has more than 4 GiB or 65 534 entries, more than a network's weights need. Save the weights alone: ` +
          `torch.save(model.state_dict(), "weights.pth").`,
      );
    }
    const place = size - tail.byteLength + end.byteOffset - tail.byteOffset;
    if (disks !== 0 || length > mostDirectoryBytes || start + length > place) {
      throw damaged(path, "its directory lies outside the file");
    }
    const entries = readDirectory(path, await readAt(file, path, start, start + length), count);
    checkPlaces(path, entries, start);
    return new ZipArchive(path, new Map(entries.map((entry) => [entry.name, entry])), file, start);
  }

  /**
   * Reads an entry and compares its checksum.
   *
   * @throws {DataError} when there is none, or it is compressed or damaged
   */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.entries.get(name);
    if (!entry) throw damaged(this.path, `it has no entry "${name}"`);
    if (entry.compressed) {
      throw new DataError(
        `${this.path}: its entry "${name}" is compressed, which torch.save never does. Give the file as torch.save wrote ` +
          `it, or load and save it again in Python: torch.save(torch.load("old.pth"), "new.pth").`,
      );
    }
    const header = await readAt(this.#file, this.path, entry.offset, entry.offset + localHeaderBytes);
    const view = new DataView(header.buffer);
    if (view.getUint32(0, true) !== signatures.localHeader) {
      throw damaged(this.path, `its entry "${name}" is not where the directory says`);
    }
    const start = entry.offset + localHeaderBytes + view.getUint16(26, true) + view.getUint16(28, true);
    const end = start + entry.byteLength;
    if (end > this.#directory) throw damaged(this.path, `its entry "${name}" lies outside the file`);
    const bytes = await readAt(this.#file, this.path, start, end);
    if (crc32(bytes) !== entry.checksum) {
      throw damaged(
        this.path,
        `the bytes of its entry "${name}" do not have the checksum they were written with`,
      );
    }
    return bytes;
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What is wrong with an archive, and what to do. */
export function damaged(path: string, reason: string): DataError {
  return new DataError(`${path} is damaged: ${reason}. Copy or write it again.`);
}

async function readAt(
  file: Deno.FsFile,
  path: string,
  start: number,
  end: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(end - start);
  await file.seek(start, Deno.SeekMode.Start);
  if (await readFull(file, bytes) !== bytes.byteLength) throw damaged(path, "it ends too early");
  return bytes;
}

/** The record that ends an archive: the last one whose comment reaches to the end of the file. */
function findEnd(tail: Uint8Array<ArrayBuffer>): DataView | undefined {
  const view = new DataView(tail.buffer);
  for (let at = tail.byteLength - endBytes; at >= 0; at--) {
    if (view.getUint32(at, true) !== signatures.end) continue;
    if (at + endBytes + view.getUint16(at + 20, true) === tail.byteLength) {
      return new DataView(tail.buffer, at, endBytes);
    }
  }
}

function readDirectory(path: string, bytes: Uint8Array<ArrayBuffer>, count: number): ZipEntry[] {
  const view = new DataView(bytes.buffer);
  const names = new Set<string>();
  const entries: ZipEntry[] = [];
  const text = new TextDecoder("utf-8", { fatal: true });
  for (let at = 0, number = 0; number < count; number++) {
    if (
      at + directoryEntryBytes > bytes.byteLength || view.getUint32(at, true) !== signatures.directoryEntry
    ) {
      throw damaged(path, `its directory has fewer than the ${count} entries that it says`);
    }
    const nameEnd = at + directoryEntryBytes + view.getUint16(at + 28, true);
    let name: string;
    try {
      name = text.decode(bytes.subarray(at + directoryEntryBytes, nameEnd));
    } catch {
      throw damaged(path, "the name of an entry is not UTF-8");
    }
    if (names.has(name)) throw damaged(path, `it has two entries "${name}"`);
    names.add(name);
    if ((view.getUint16(at + 8, true) & 1) !== 0) throw damaged(path, `its entry "${name}" is encrypted`);
    const storedLength = view.getUint32(at + 20, true), byteLength = view.getUint32(at + 24, true);
    entries.push({
      name,
      byteLength,
      storedLength,
      compressed: view.getUint16(at + 10, true) !== 0 || storedLength !== byteLength,
      checksum: view.getUint32(at + 16, true),
      offset: view.getUint32(at + 42, true),
    });
    at = nameEnd + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

/** Entries lie one behind the other before the directory: none is read twice, none reads what is not its own. */
function checkPlaces(path: string, entries: readonly ZipEntry[], directory: number): void {
  const sorted = entries.toSorted((one, other) => one.offset - other.offset);
  for (const [index, { name, offset, storedLength }] of sorted.entries()) {
    const next = sorted[index + 1]?.offset ?? directory;
    if (offset + localHeaderBytes + storedLength > next) {
      throw damaged(path, `its entry "${name}" reaches into what follows it`);
    }
  }
}
