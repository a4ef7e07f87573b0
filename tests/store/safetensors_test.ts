import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { DataError } from "../../src/errors.ts";
import {
  expectTensor,
  openSafetensors,
  readSafetensors,
  readSafetensorsHeader,
  type TensorData,
  writeSafetensors,
} from "../../src/store/safetensors.ts";
import { withFolder } from "./with_folder.ts";

const everyDtype: [string, TensorData][] = [
  ["f64", { dtype: "F64", shape: [2], data: new Float64Array([Math.PI, -0]) }],
  ["f32", { dtype: "F32", shape: [2, 2], data: new Float32Array([1.5, -2, Infinity, 1e-40]) }],
  ["f16", { dtype: "F16", shape: [3], data: new Uint16Array([0x3c00, 0xfbff, 1]) }],
  ["bf16", { dtype: "BF16", shape: [1], data: new Uint16Array([0x3f80]) }],
  ["i64", { dtype: "I64", shape: [2], data: new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n]) }],
  ["u64", { dtype: "U64", shape: [1], data: new BigUint64Array([2n ** 64n - 1n]) }],
  ["i32", { dtype: "I32", shape: [], data: new Int32Array([-7]) }],
  ["u32", { dtype: "U32", shape: [2, 0, 3], data: new Uint32Array(0) }],
  ["i16", { dtype: "I16", shape: [1], data: new Int16Array([-300]) }],
  ["u16", { dtype: "U16", shape: [1], data: new Uint16Array([65535]) }],
  ["i8", { dtype: "I8", shape: [3], data: new Int8Array([-128, 0, 127]) }],
  ["u8", { dtype: "U8", shape: [3], data: new Uint8Array([0, 128, 255]) }],
  ["bool", { dtype: "BOOL", shape: [2], data: new Uint8Array([1, 0]) }],
];

/** A file with this header and so many zero bytes of data. */
function fileBytes(header: string, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

Deno.test("every element type survives a round trip", () =>
  withFolder(async (folder) => {
    const path = join(folder, "all.safetensors");
    const metadata = { epoch: "3", note: 'quotes " and ünïcode' };
    await writeSafetensors(path, everyDtype, metadata);
    const read = await readSafetensors(path);
    assertEquals(read.metadata, metadata);
    assertEquals(read.tensors.size, everyDtype.length);
    for (const [name, tensor] of everyDtype) assertEquals(read.tensors.get(name), tensor);
  }));

Deno.test("a view into a larger array writes only its own elements", () =>
  withFolder(async (folder) => {
    const path = join(folder, "view.safetensors");
    const data = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    await writeSafetensors(path, [["x", { dtype: "F32", shape: [2], data }]]);
    assertEquals((await readSafetensors(path)).tensors.get("x")?.data, new Float32Array([1, 2]));
  }));

Deno.test("the layout is the format's, byte for byte", () =>
  withFolder(async (folder) => {
    const path = join(folder, "layout.safetensors");
    await writeSafetensors(
      path,
      new Map<string, TensorData>([
        ["b", { dtype: "U8", shape: [3], data: new Uint8Array([7, 8, 9]) }],
        ["a", { dtype: "F32", shape: [1, 2], data: new Float32Array([1, -2]) }],
      ]),
      { format: "pt" },
    );
    const withChecksum = (checksum: string) =>
      `{"__metadata__":{"format":"pt","scion.sha256":"${checksum}"},` +
      '"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},' +
      '"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}';
    const data = [
      ...[0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0xc0], // 1, -2 as little-endian f32
      ...[7, 8, 9],
    ];
    const headerWith = (checksum: string) => {
      const json = withChecksum(checksum);
      const padded = json.padEnd(Math.ceil(json.length / 8) * 8, " ");
      assert(padded.length > json.length, "the example should need padding");
      const bytes = new TextEncoder().encode(padded);
      return [bytes.length & 255, bytes.length >> 8, 0, 0, 0, 0, 0, 0, ...bytes];
    };
    // The data, then the header with zeros for the checksum.
    const covered = new Uint8Array([...data, ...headerWith("0".repeat(64))]);
    const checksum = new Uint8Array(await crypto.subtle.digest("SHA-256", covered)).toHex();
    assertEquals(await Deno.readFile(path), new Uint8Array([...headerWith(checksum), ...data]));
  }));

Deno.test("the order of tensors and metadata does not change the bytes", () =>
  withFolder(async (folder) => {
    const one = join(folder, "one"), two = join(folder, "two");
    await writeSafetensors(one, everyDtype, { a: "1", b: "2" });
    await writeSafetensors(two, everyDtype.toReversed(), { b: "2", a: "1" });
    assertEquals(await Deno.readFile(one), await Deno.readFile(two));
  }));

Deno.test("every tensor starts at a multiple of its element's width", () =>
  withFolder(async (folder) => {
    const path = join(folder, "aligned");
    await writeSafetensors(path, everyDtype);
    const { tensors } = await readSafetensorsHeader(path);
    for (const [name, { data }] of everyDtype) {
      assertEquals(tensors.get(name)!.offset % data.BYTES_PER_ELEMENT, 0, name);
    }
  }));

Deno.test("names that look like integers or like object internals are ordinary names", () =>
  withFolder(async (folder) => {
    const path = join(folder, "names");
    const names = ["10", "2", "__proto__", "constructor", "a.b"];
    const tensor: TensorData = { dtype: "U8", shape: [1], data: new Uint8Array([1]) };
    await writeSafetensors(path, names.map((name) => [name, tensor]));
    assertEquals([...(await readSafetensors(path)).tensors.keys()].sort(), names.sort());
  }));

Deno.test("the header alone tells types, shapes and metadata", () =>
  withFolder(async (folder) => {
    const path = join(folder, "header");
    await writeSafetensors(path, everyDtype, { step: "12" });
    const header = await readSafetensorsHeader(path);
    assertEquals(header.metadata, { step: "12" });
    const { dtype, shape, byteLength } = header.tensors.get("f32")!;
    assertEquals({ dtype, shape, byteLength }, { dtype: "F32", shape: [2, 2], byteLength: 16 });
  }));

Deno.test("an open file reads tensors one by one, also several at once", () =>
  withFolder(async (folder) => {
    const path = join(folder, "open");
    await writeSafetensors(path, everyDtype);
    using file = await openSafetensors(path);
    assertEquals(new Set(file.names), new Set(everyDtype.map(([name]) => name)));
    const read = await Promise.all(everyDtype.toReversed().map(([name]) => file.read(name)));
    assertEquals(read, everyDtype.toReversed().map(([, tensor]) => tensor));
    const expected = await file.readExpected("i8", "I8", [null]);
    assertEquals(expected.data.at(0), -128);
    await assertRejects(() => file.readExpected("i8", "U8", [3]), DataError, "expected U8 [3]");
    assertThrows(() => file.info("nothing"), DataError, 'has no tensor "nothing"');
  }));

Deno.test("expectTensor names the tensor, what was found and what was expected", () =>
  withFolder(async (folder) => {
    const path = join(folder, "expect");
    await writeSafetensors(path, everyDtype);
    const contents = await readSafetensors(path);
    assertEquals(expectTensor(contents, "f32", "F32", [2, null]).data[1], -2);
    assertThrows(
      () => expectTensor(contents, "f32", "F32", [2, 3]),
      DataError,
      'tensor "f32" is F32 [2, 2], expected F32 [2, 3].',
    );
    assertThrows(
      () => expectTensor(contents, "f32", "I32", [null]),
      DataError,
      "is F32 [2, 2], expected I32 [?]",
    );
    assertThrows(() => expectTensor(contents, "conv9.weight", "F32", [1]), DataError, "conv9.weight");
  }));

const damaged: Record<string, [bytes: Uint8Array, message: string]> = {
  "an empty file": [new Uint8Array(0), "is not a safetensors file"],
  "another kind of file": [
    new TextEncoder().encode("\x89PNG and so on, long enough"),
    "is not a safetensors file",
  ],
  "a header that is not JSON": [fileBytes("{oops}  ", 0), "not JSON"],
  "a header that is not UTF-8": [fileBytes('{"a":1}', 0).with(10, 0xff), "not a safetensors file"],
  "a header cut short": [
    fileBytes("{".padEnd(100), 0).slice(0, 50),
    "its header alone takes 108 bytes, the file has 50",
  ],
  "data cut short": [
    fileBytes('{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', 10),
    "truncated (an interrupted copy or download?): its header asks for 79 bytes, the file has 73",
  ],
  "bytes after the last tensor": [
    fileBytes('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', 5),
    "bytes after its last tensor",
  ],
  "overlapping tensors": [
    fileBytes(
      '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}',
      6,
    ),
    'tensor "b" starts at byte 2 of the data and overlaps',
  ],
  "a gap between tensors": [
    fileBytes(
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}',
      3,
    ),
    "leaves a gap",
  ],
  "offsets that do not fit the shape": [
    fileBytes('{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,12]}}', 12),
    'tensor "a" is F32 [4], which takes 16 bytes, but its data_offsets [0, 12] hold 12',
  ],
  "an unknown element type": [
    fileBytes('{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', 4),
    "element type F8_E4M3, which is not supported. Supported are F64",
  ],
  "an element type named like an object's method": [
    fileBytes('{"a":{"dtype":"toString","shape":[4],"data_offsets":[0,4]}}', 4),
    "element type toString",
  ],
  "a tensor without offsets": [
    fileBytes('{"a":{"dtype":"U8","shape":[4]}}', 4),
    "needs dtype, shape and data_offsets",
  ],
  "a negative extent": [
    fileBytes('{"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}}', 4),
    "needs dtype, shape and data_offsets",
  ],
  "metadata that are not strings": [fileBytes('{"__metadata__":{"epoch":3}}', 0), 'metadata "epoch" is 3'],
};

for (const [what, [bytes, message]] of Object.entries(damaged)) {
  Deno.test(`${what}: refused with the reason`, () =>
    withFolder(async (folder) => {
      const path = join(folder, "damaged.safetensors");
      await Deno.writeFile(path, bytes);
      for (const read of [openSafetensors, readSafetensors, readSafetensorsHeader]) {
        const error = await assertRejects<Error>(() => read(path), DataError, message);
        assert(error.message.includes(path), error.message);
      }
    }));
}

Deno.test("a missing file and a folder are refused by name", () =>
  withFolder(async (folder) => {
    const path = join(folder, "none.safetensors");
    await assertRejects(() => readSafetensors(path), DataError, `Cannot open ${path}: there is no such file`);
    await assertRejects(() => readSafetensors(folder), DataError, "is a folder");
  }));

Deno.test("a write that cannot be right is refused before the file is touched", () =>
  withFolder(async (folder) => {
    const path = join(folder, "refused");
    const tensor: TensorData = { dtype: "U8", shape: [1], data: new Uint8Array(1) };
    const short: TensorData = { dtype: "F32", shape: [2, 2], data: new Float32Array(3) };
    const wrongArray = { dtype: "F32", shape: [1], data: new Int32Array(1) } as unknown as TensorData;
    await assertRejects(
      () => writeSafetensors(path, [["x", tensor], ["x", tensor]]),
      DataError,
      "given twice",
    );
    await assertRejects(() => writeSafetensors(path, [["__metadata__", tensor]]), DataError, "reserved");
    await assertRejects(() => writeSafetensors(path, [["x", short]]), DataError, "declared F32 [2, 2]");
    await assertRejects(() => writeSafetensors(path, [["x", wrongArray]]), DataError, "Int32Array of 1");
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test("more than one chunk is written whole", () =>
  withFolder(async (folder) => {
    const path = join(folder, "large");
    const data = new Uint32Array(5 * 2 ** 20 + 3).map((_, index) => Math.imul(index, 0x9e3779b9));
    await writeSafetensors(path, [["large", { dtype: "U32", shape: [data.length], data }]]);
    const read = (await readSafetensors(path)).tensors.get("large")!.data as Uint32Array;
    assert(read.length === data.length && read.every((value, index) => value === data[index]));
  }));
