/** Members of tar archives: those of GNU tar and of Python, and archives that are odd, damaged, or something else. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import { ForwardReader, type SeekableReader } from "../../../src/store/tar/forward_reader.ts";
import { type TarMember, TarReader } from "../../../src/store/tar/tar_reader.ts";
import { concatenate, type Entry, paxEntry, tarOf } from "./tar_writer.ts";

const golden = new URL("../../golden/tar/", import.meta.url).pathname;

/** A file in memory, which gives at most so many bytes at once. */
class Bytes implements SeekableReader {
  /** Where it was read, and how many bytes. */
  readonly reads: [start: number, length: number][] = [];
  #at = 0;
  constructor(readonly bytes: Uint8Array, readonly most = Infinity) {}

  seek(offset: number): Promise<number> {
    this.#at = offset;
    return Promise.resolve(offset);
  }

  read(into: Uint8Array): Promise<number | null> {
    const some = this.bytes.subarray(this.#at, this.#at + Math.min(into.length, this.most));
    into.set(some);
    this.reads.push([this.#at, some.length]);
    this.#at += some.length;
    return Promise.resolve(some.length === 0 ? null : some.length);
  }
}

async function membersOf(bytes: Uint8Array, most = Infinity): Promise<TarMember[]> {
  const reader = new TarReader("a.tar", bytes.length, new Bytes(bytes, most));
  const members: TarMember[] = [];
  for (let member; (member = await reader.next());) members.push(member);
  return members;
}

async function refusal(bytes: Uint8Array): Promise<string> {
  const { message } = await assertRejects(() => membersOf(bytes), DataError);
  assert(message.startsWith('"a.tar"'), message);
  return message;
}

const namesOf = async (entries: readonly Entry[]) =>
  (await membersOf(tarOf(entries))).map(({ name }) => name);

Deno.test("archives of GNU tar and Python have the members that Python finds, at their places", async () => {
  const expected = JSON.parse(await Deno.readTextFile(`${golden}members.json`));
  assertEquals(Object.keys(expected).length, 6);
  for (const [file, members] of Object.entries(expected)) {
    const bytes = await Deno.readFile(golden + file);
    assertEquals(await membersOf(bytes), members as TarMember[], file);
    assertEquals(await membersOf(bytes, 100), members as TarMember[], `${file}, in pieces`);
  }
});

Deno.test("data are passed over, and read when they are asked for", async () => {
  const bytes = tarOf([{ name: "a", data: "one" }, { name: "b", data: "" }, { name: "c", data: "three" }]);
  const reader = new TarReader("a.tar", bytes.length, new Bytes(bytes));
  const texts: string[] = [];
  for (let member; (member = await reader.next());) {
    texts.push(new TextDecoder().decode(await reader.contents(member)));
  }
  assertEquals(texts, ["one", "", "three"]);
});

Deno.test("names: ./ at their start, folders of old archives, pax and GNU names, hidden from those behind", async () => {
  assertEquals(
    await namesOf([
      { name: "././a.jpg" },
      { name: "folder/" },
      paxEntry({ comment: "nothing", path: "./ü/long.jpg" }),
      { name: "short.jpg" },
      { name: "b.jpg" },
      { name: "././@LongLink", type: "K", data: "target\0" },
      { name: "././@LongLink", type: "L", data: "gnu/long.jpg\0" },
      { name: "short.jpg", type: "7" },
      { name: Uint8Array.of(0x63, 0xe9, 0xff) },
      { name: "old.jpg", type: "\0" },
    ]),
    ["a.jpg", "ü/long.jpg", "b.jpg", "gnu/long.jpg", "c\\xe9\\xff", "old.jpg"],
  );
  assertEquals(await namesOf([paxEntry({ path: "lost" }), { name: "folder", type: "5" }, { name: "a" }]), [
    "a",
  ]);
  assertEquals(await namesOf([]), []);
  assertEquals(
    await namesOf([paxEntry({ size: "3" }, "g"), { name: "a", data: "abc" }, { name: "b", data: "abc" }]),
    [
      "a",
      "b",
    ],
  );
});

Deno.test("links, devices and unknown kinds are no members; those without data may give a size", async () => {
  const entries = [..."123456"].map((type): Entry => ({ name: `type ${type}`, type, size: "00000001000\0" }));
  assertEquals(
    await namesOf([...entries, { name: "of Solaris", type: "A", data: "x".repeat(600) }, { name: "file" }]),
    ["file"],
  );
});

Deno.test("sizes in octal digits with spaces, in base 256, and in pax records", async () => {
  const base256 = new Uint8Array(12);
  base256.set([0x80], 0);
  base256.set([2, 1], 10);
  const lengths = async (entry: Entry, ...before: Entry[]) =>
    (await membersOf(tarOf([...before, entry]))).map(({ length }) => length);
  const data = new Uint8Array(513);
  assertEquals(await lengths({ name: "a", data, size: base256 }), [513]);
  assertEquals(await lengths({ name: "a", data, size: "       1001 " }), [513]);
  assertEquals(await lengths({ name: "a", data, size: "0" }, paxEntry({ size: "513" })), [513]);
  const message = await refusal(tarOf([{ name: "a", size: "12345678\0" }]));
  assert(message.includes('size "12345678'), message);
  assert(
    (await refusal(tarOf([{ name: "a", size: new Uint8Array(12).fill(0xff) }]))).includes("the size -1"),
  );
  const huge = new Uint8Array(12).fill(0x7f);
  huge[0] = 0x80;
  assert((await refusal(tarOf([{ name: "a", size: huge }]))).includes("has the size 1."));
});

Deno.test("every archive that is cut off is refused, wherever it is cut", async () => {
  const bytes = tarOf([
    { name: "a", data: "x".repeat(700) },
    paxEntry({ path: "long" }),
    { name: "b", data: "y" },
  ], 512);
  assertEquals((await membersOf(bytes)).length, 2);
  for (let length = 0; length < bytes.length; length++) {
    const message = await refusal(bytes.subarray(0, length));
    assert(message.includes(`ends early, at byte ${length}`), message);
  }
});

Deno.test("any other byte in a header is refused, with the place", async () => {
  const entry = { name: "b", data: "y" };
  const bytes = tarOf([{ name: "a", data: "x" }, entry]);
  for (let at = 1024; at < 1536; at++) {
    const changed = bytes.slice();
    changed[at] ^= 1;
    const message = await refusal(changed);
    assert(message.includes("damaged at byte 1024"), message);
  }
  const message = await refusal(tarOf([{ name: "a" }, { name: "b", checksumError: 1 }]));
  assert(
    /damaged at byte 512: the header says that its checksum is \d+, but it is \d+/.test(message),
    message,
  );
});

Deno.test("the checksum of signed bytes, which old programs wrote, counts as well", async () => {
  const name = Uint8Array.of(0xc3, 0xa9);
  assertEquals((await membersOf(tarOf([{ name, checksumError: -512 }]))).map((member) => member.name), ["é"]);
});

Deno.test("what is no archive, compressed, sparse, in parts or joined is refused with what to do", async () => {
  const text = new Uint8Array(2048).fill(0x41);
  assert((await refusal(text)).includes("is no tar archive"));
  const compressed = text.slice();
  compressed.set([0x1f, 0x8b]);
  assert((await refusal(compressed)).includes("is compressed (gzip)"));
  assert((await refusal(tarOf([{ name: "hole", type: "S" }]))).includes('"hole" has holes'));
  assert(
    (await refusal(tarOf([paxEntry({ "GNU.sparse.major": "1" }), { name: "x" }]))).includes('"x" has holes'),
  );
  assert((await refusal(tarOf([{ name: "rest", type: "M" }]))).includes("rest of a file in another archive"));
  const joined = concatenate([tarOf([{ name: "a" }]), tarOf([{ name: "b" }])]);
  assert((await refusal(joined)).includes("goes on behind its end, at byte 1536"));
  for (const data of ["12", "8 path=x\n", "10 path=xx ", "0 a=b\n", "7 path\n"]) {
    assert(
      (await refusal(tarOf([{ name: "pax", type: "x", data }, { name: "a" }]))).includes("extended record"),
      data,
    );
  }
  assert(
    (await refusal(tarOf([paxEntry({ size: "-1" }), { name: "a" }]))).includes('followed by the size "-1"'),
  );
});

Deno.test("headers of small files come in few reads, of those between large files little else is read", async () => {
  const count = 200;
  const small = new Bytes(tarOf(Array.from({ length: count }, (_, at) => ({ name: `${at}`, data: "x" }))));
  const large = new Bytes(
    tarOf(Array.from({ length: count }, (_, at) => ({ name: `${at}`, data: new Uint8Array(100_000) }))),
  );
  for (const file of [small, large]) {
    const reader = new TarReader("a.tar", file.bytes.length, file);
    while (await reader.next());
  }
  assert(small.reads.length < 12, String(small.reads.length));
  const total = large.reads.reduce((sum, [, length]) => sum + length, 0);
  assert(total < 1.1 * count * 4096, String(total));
});

Deno.test("parts that follow each other are what the file has there, whatever lies between", async () => {
  const bytes = Uint8Array.from({ length: 600_000 }, (_, at) => (at * 2654435761) >>> 24);
  const reader = new ForwardReader(new Bytes(bytes, 5000));
  let start = 0;
  for (const [gap, length] of [[0, 512], [100, 4096], [20_000, 512], [0, 30_000], [300_000, 512], [9, 3]]) {
    start += gap;
    assertEquals(await reader.read(start, length), bytes.subarray(start, start + length));
    start += length;
  }
  assertEquals((await reader.read(599_990, 512)).length, 10);
  assertEquals((await reader.read(700_000, 512)).length, 0);
});
