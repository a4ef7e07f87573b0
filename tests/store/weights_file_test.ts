/** Weights of other programs: what torch.save writes is read without running any of it, or refused with the reason. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { purpose, Random } from "../../src/random.ts";
import { openWeightsFile } from "../../src/store/open_weights.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { archive, entriesOf, type Entry, join, pickle, type TensorFields } from "./pytorch/archive.ts";
import { withFolder } from "./with_folder.ts";

const golden = new URL("../golden/pth/", import.meta.url).pathname;

/** Reads all tensors of a file. */
async function readAll(path: string): Promise<Map<string, Float32Array>> {
  using file = await openWeightsFile(path);
  const found = new Map<string, Float32Array>();
  for (const [name, { floats }] of file.tensors) if (floats) found.set(name, await file.read(name));
  return found;
}

async function refusal(path: string): Promise<string> {
  return (await assertRejects(() => readAll(path), DataError)).message;
}

async function refusalOf(bytes: Uint8Array): Promise<string> {
  let message = "";
  await withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/a.pth`, bytes);
    message = await refusal(`${folder}/a.pth`);
    assert(message.startsWith(`${folder}/a.pth`), message);
  });
  return message;
}

Deno.test("every kind of tensor, in every version of pickles that PyTorch writes", async () => {
  const { tensors } = await readSafetensors(`${golden}kinds.safetensors`);
  for (const protocol of [2, 3, 4, 5]) {
    const path = `${golden}kinds${protocol}.pth`;
    const found = await readAll(path);
    assertEquals([...found.keys()].sort(), [...tensors.keys()].sort());
    using file = await openWeightsFile(path);
    for (const [name, { shape, data }] of tensors) {
      assertEquals(file.tensors.get(name)!.shape, shape, name);
      assertEquals(found.get(name), data, `${name}, protocol ${protocol}`);
    }
    for (const name of ["int64", "int32", "int16", "int8", "uint8", "bool"]) {
      assertEquals(file.tensors.get(name), { shape: [2], floats: false });
      await assertRejects(() => file.read(name), DataError, `"${name}" has elements of type`);
    }
  }
});

Deno.test("weights beside an optimiser's state", async () => {
  const names = [...(await readAll(`${golden}wrapped.pth`)).keys()];
  assert(names.length > 50 && names.every((name) => name.startsWith("module.encoder_q.")), names.join());
});

Deno.test("half, bfloat16 and double precision in safetensors", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a.safetensors`;
    await writeSafetensors(path, [
      ["half", { dtype: "F16", shape: [3], data: Uint16Array.of(0x3c00, 0xc100, 0x0001) }],
      ["bfloat16", { dtype: "BF16", shape: [2], data: Uint16Array.of(0x3fc0, 0xc000) }],
      ["double", { dtype: "F64", shape: [1], data: Float64Array.of(0.1) }],
      ["count", { dtype: "I64", shape: [1], data: BigInt64Array.of(1n) }],
    ]);
    const found = await readAll(path);
    assertEquals(found.get("half"), Float32Array.of(1, -2.5, 2 ** -24));
    assertEquals(found.get("bfloat16"), Float32Array.of(1.5, -2));
    assertEquals(found.get("double"), Float32Array.of(0.1));
    assertEquals(found.has("count"), false);
  });
});

const refused: readonly [file: string, reason: RegExp][] = [
  ["system.pth", /holds code: its pickle asks Python for posix\.system,.*Nothing of it was run/],
  ["nested.pth", /holds code: .* \S+\.eval,/],
  ["alone.pth", /holds code: .* posix\.system,/],
  ["protocol4.pth", /holds code: .* builtins\.eval,/],
  ["module.pth", /holds code: .* torch\.nn\.modules\.linear\.Linear,.*torch\.save\(model\.state_dict\(\)/],
  ["namespace.pth", /holds code: .* argparse\.Namespace,/],
  ["numpy.pth", /holds code: .* numpy\.core\.multiarray\.scalar,/],
  ["no_tensors.pth", /holds no state dict/],
  ["legacy.pth", /format of PyTorch before 1\.6.*torch\.save\(torch\.load/],
  ["script.pt", /is a TorchScript program, which holds code/],
];

for (const [file, reason] of refused) {
  Deno.test(`refused, and not run: ${file}`, async () => {
    assertMatch(await refusal(golden + file), reason);
  });
}

/** An archive with one thing wrong. */
const withPickle = (bytes: Uint8Array) =>
  archive(entriesOf().map((entry) => entry.name === "a/data.pkl" ? { ...entry, bytes } : entry));
const withEntry = (index: number, change: Partial<Entry>) =>
  archive(entriesOf().map((entry, at) => at === index ? { ...entry, ...change } : entry));
const withTensor = (fields: TensorFields) => archive(entriesOf(fields));

const wrongArchives: readonly [what: string, bytes: Uint8Array, reason: RegExp][] = [
  ["truncated", archive(entriesOf()).subarray(0, -30), /is truncated/],
  ["only the first bytes", Uint8Array.of(0x50, 0x4b, 3, 4), /is truncated/],
  ["a compressed entry", withEntry(1, { method: 8 }), /"a\/data\/0" is compressed/],
  ["an encrypted entry", withEntry(1, { flags: 1 }), /is encrypted/],
  ["other bytes than were written", withEntry(1, { checksum: 1 }), /do not have the checksum/],
  ["another pickle than was written", withEntry(0, { checksum: 1 }), /do not have the checksum/],
  [
    "an entry that is longer than the file",
    withEntry(2, { byteLength: 2 ** 31 }),
    /reaches into what follows/,
  ],
  ["entries that overlap", withEntry(1, { offset: 0 }), /reaches into what follows/],
  ["an entry within another", withEntry(2, { offset: 60 }), /reaches into what follows/],
  ["an entry at no header", withEntry(0, { offset: 2 }), /not where the directory says/],
  ["an entry twice", archive([...entriesOf(), entriesOf()[1]]), /two entries "a\/data\/0"/],
  ["more entries than it has", countOf(archive(entriesOf()), 7), /fewer than the 7 entries/],
  ["a directory outside the file", directoryAt(archive(entriesOf()), 2 ** 30), /outside the file/],
  ["too large for numbers of 32 bits", directoryAt(archive(entriesOf()), 0xffff_ffff), /more than 4 GiB/],
  ["no pickle", archive(entriesOf().slice(1)), /none that torch\.save wrote/],
  [
    "two pickles",
    archive([...entriesOf(), { ...entriesOf()[0], name: "b/data.pkl" }]),
    /none that torch\.save/,
  ],
  [
    "numbers of another order",
    archive([...entriesOf(), { name: "a/byteorder", bytes: new TextEncoder().encode("big") }]),
    /with big-endian numbers/,
  ],
  ["no storage", archive([entriesOf()[0]]), /no numbers: there is no entry "a\/data\/0"/],
  ["another storage", withTensor({ key: "../0" }), /there is no entry "a\/data\/\.\.\/0"/],
  ["a storage of another length", withTensor({ length: 7 }), /storage of 24 bytes, expected 28/],
  ["a storage of another kind", withTensor({ kind: "Double" }), /storage of 24 bytes, expected 48/],
  ["a kind of storage that is not known", withTensor({ kind: "ComplexFloat" }), /torch\.ComplexFloatStorage/],
  ["an offset outside", withTensor({ offset: 1 }), /\[2, 3\] does not fit its storage of 6 elements/],
  ["a negative offset", withTensor({ offset: -1 }), /has a size, stride or place of -1/],
  ["strides outside", withTensor({ strides: [4, 1] }), /does not fit its storage/],
  ["negative strides", withTensor({ strides: [-3, 1], offset: 3 }), /place of -3/],
  [
    "a huge tensor of few numbers",
    withTensor({ shape: [2 ** 31, 2 ** 20], strides: [0, 0] }),
    /does not fit/,
  ],
  ["huge sizes", withTensor({ shape: [2 ** 50, 2 ** 50], strides: [2 ** 50, 1] }), /does not fit/],
  ["huge sizes of nothing", withTensor({ shape: [2 ** 60, 0], strides: [0, 0] }), /other arguments/],
  ["a stride too few", withTensor({ strides: [3] }), /2 dimensions and 1 strides/],
  ["many dimensions", withTensor({ shape: Array(9).fill(1), strides: Array(9).fill(1) }), /9 dimensions/],
  ["an operation that makes objects", withPickle(pickle("\x80\x02", "(", "i", "os\nsystem\n", ".")), /0x69/],
  ["a name by extension code", withPickle(pickle("\x80\x02", "\x82\x01", ".")), /operation 0x82/],
  ["a new object", withPickle(pickle("\x80\x02", "ccollections\nOrderedDict\n", ")", "\x81", ".")), /0x81/],
  ["a text that is called", withPickle(pickle({ push: "x" }, ")", "R", ".")), /a value is called/],
  [
    "a storage type that is called",
    withPickle(pickle("ctorch\nFloatStorage\n", ")", "R", ".")),
    /torch\.FloatStorage is called/,
  ],
  ["attributes of a list", withPickle(pickle("]", "}", "b", ".")), /a dictionary is missing/],
  ["a name whose parts are no texts", withPickle(pickle("K\x01K\x02\x93.")), /a name is no text/],
  ["an empty stack", withPickle(pickle("0.")), /empty stack/],
  ["a missing mark", withPickle(pickle("t.")), /a mark is missing/],
  ["a value that is not there", withPickle(pickle("h\x07.")), /refers to a value 7/],
  ["a text that is longer than the pickle", withPickle(pickle("X\xff\xff\xff\xff.")), /ends too early/],
  ["no end", withPickle(pickle("}")), /ends too early/],
  ["a version to come", withPickle(pickle("\x80\x09}.")), /version 9/],
  ["a million dictionaries", withPickle(pickle("}".repeat(1_000_001))), /far more than the weights/],
  ["nothing but a text", withPickle(pickle({ push: "x" }, ".")), /holds no state dict/],
  [
    "neither format",
    new TextEncoder().encode("<html>not found</html>"),
    /is neither a \.safetensors file nor/,
  ],
  ["nothing", new Uint8Array(), /is neither a \.safetensors file nor/],
];

/** The number of entries that an archive's end names. */
function countOf(bytes: Uint8Array<ArrayBuffer>, count: number): Uint8Array {
  bytes[bytes.length - 12] = count;
  return bytes;
}

function directoryAt(bytes: Uint8Array<ArrayBuffer>, start: number): Uint8Array {
  new DataView(bytes.buffer).setUint32(bytes.length - 6, start, true);
  return bytes;
}

for (const [what, bytes, reason] of wrongArchives) {
  Deno.test(`refused: ${what}`, async () => assertMatch(await refusalOf(bytes), reason));
}

Deno.test("the archive of these tests is read when nothing is wrong with it", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a.pth`;
    await Deno.writeFile(path, archive(entriesOf({ shape: [3, 2], strides: [1, 3] }), "a comment"));
    assertEquals(await readAll(path), new Map([["x", Float32Array.of(0, 3, 1, 4, 2, 5)]]));
    // Nesting costs no stack.
    const deep = pickle("]".repeat(200_000), "a".repeat(199_999), "0", "}", ".");
    await Deno.writeFile(path, withPickle(deep));
    assertMatch(await refusal(path), /holds no state dict/);
  });
});

Deno.test("a pickle as large as a file is not read", async () => {
  const bytes = withEntry(0, { bytes: join(pickle("}"), new Uint8Array(16 * 2 ** 20)) });
  assertMatch(await refusalOf(bytes), /describes its contents in \d+ bytes/);
});

Deno.test("damage at random is refused, or lies where nothing is read", async () => {
  const whole = await Deno.readFile(`${golden}kinds2.pth`);
  const expected = await readAll(`${golden}kinds2.pth`);
  const random = new Random(1, purpose.test);
  let refusals = 0;
  await withFolder(async (folder) => {
    const path = `${folder}/a.pth`;
    for (let number = 0; number < 300; number++) {
      const bytes = whole.slice();
      const at = Math.floor(random.uniform(0, bytes.length));
      bytes[at] ^= 1 << Math.floor(random.uniform(0, 8));
      await Deno.writeFile(path, number % 3 === 0 ? whole.subarray(0, at) : bytes);
      try {
        // What is read in spite of damage lies where nothing is: in padding, dates, or local headers.
        assertEquals(await readAll(path), expected, `damage ${number} at ${at} was read as something else`);
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        refusals++;
      }
    }
  });
  assert(refusals > 150, `${refusals} of 300 were refused`);
});

Deno.test("no such file, and a folder", async () => {
  await withFolder(async (folder) => {
    assertMatch(
      (await assertRejects(() => openWeightsFile(`${folder}/none.pth`), DataError)).message,
      /there is no such file/,
    );
    assertMatch((await assertRejects(() => openWeightsFile(folder), DataError)).message, /is no file/);
  });
});
