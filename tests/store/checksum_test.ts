/** Every byte of a file is covered by its checksum; files of other programs are read as before. */
import { assertEquals, assertRejects } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { openSafetensors, readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { writeRows } from "../../src/store/safetensors_rows.ts";
import { withFolder } from "./with_folder.ts";

const data = Float32Array.of(1, -2, 3);

/** The bytes of a file with a header of one's own. */
function fileOf(header: string, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

Deno.test("a flipped bit is refused in every single byte", () =>
  withFolder(async (folder) => {
    const path = `${folder}/file.safetensors`;
    const write = {
      whole: () => writeSafetensors(path, [["x", { dtype: "F32", shape: [3], data }]], { step: "12" }),
      rows: () =>
        writeRows(
          path,
          { matrix: "x", columns: 3, vectors: ["n"], maximumRows: 9, metadata: { step: "12" } },
          [
            { values: data, vectors: { n: [7] } },
          ],
        ),
    };
    for (const one of Object.values(write)) {
      await one();
      assertEquals((await readSafetensors(path)).metadata, { step: "12" });
      const whole = await Deno.readFile(path);
      for (let at = 0; at < whole.length; at++) {
        const damaged = whole.slice();
        damaged[at] ^= 1 << (at % 8);
        await Deno.writeFile(path, damaged);
        // A file whose checksum's name is hit has none any more: what reads it must ask for one.
        const error = await openSafetensors(path).then((file) => {
          using _ = file;
          return file.checksum === undefined ? undefined : `byte ${at} is not covered`;
        }, (error) => error instanceof DataError ? undefined : error);
        assertEquals(error, undefined);
      }
    }
  }));

Deno.test("files without a checksum are read, and say that they have none", () =>
  withFolder(async (folder) => {
    const path = `${folder}/file.safetensors`;
    await Deno.writeFile(path, fileOf('{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2));
    using file = await openSafetensors(path);
    assertEquals(file.checksum, undefined);
  }));

const damaged: Record<string, [header: string, dataBytes: number, message: string]> = {
  "a name twice": [
    '{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    1,
    'the name "x" comes twice',
  ],
  "a name twice, spelled otherwise": [
    '{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0078" :{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    1,
    'the name "x" comes twice',
  ],
  "metadata twice": ['{"__metadata__":{"a":"1"},"__metadata__":{"a":"2"}}', 0, "comes twice"],
  "deep nesting": [`{"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, 0, "nested more than 3 levels deep"],
  "a checksum that is none": ['{"__metadata__":{"scion.sha256":"12"}}', 0, 'its checksum is "12"'],
  "overlapping tensors": [
    '{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
    3,
    "overlaps",
  ],
  "a gap": ['{"x":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}', 3, "leaves a gap"],
  "bytes after the last tensor": [
    '{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}',
    3,
    "has bytes after",
  ],
};

for (const [what, [header, dataBytes, message]] of Object.entries(damaged)) {
  Deno.test(`${what}: refused`, () =>
    withFolder(async (folder) => {
      const path = `${folder}/file.safetensors`;
      await Deno.writeFile(path, fileOf(header, dataBytes));
      await assertRejects(() => openSafetensors(path), DataError, message);
    }));
}
