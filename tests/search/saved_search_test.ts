import { fileFingerprint } from "../../src/store/fingerprint.ts";
import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { DataError } from "../../src/errors.ts";
import { differingSetting, readSavedSearch, saveSearch } from "../../src/search/saved_search.ts";
import { writeSafetensors } from "../../src/store/safetensors.ts";
import { withFolder } from "../store/with_folder.ts";

Deno.test("an interrupted search is read as it was saved", () =>
  withFolder(async (folder) => {
    const path = `${folder}/interrupted.safetensors`;
    const saved = {
      settings: { metric: "cka", images: "16" },
      round: 2,
      slot: 5,
      seconds: 1.5,
      sums: Float64Array.of(0.1, -2, Infinity, 1 / 3),
      imageSums: Float32Array.of(0.5, -1),
    };
    await saveSearch(path, saved);
    assertEquals(await readSavedSearch(path), saved);
    // A search of too few images keeps none apart.
    const without = { ...saved, imageSums: new Float32Array(0) };
    await saveSearch(path, without);
    assertEquals(await readSavedSearch(path), without);
  }));

Deno.test("another file is no interrupted search", () =>
  withFolder(async (folder) => {
    const path = `${folder}/other.safetensors`;
    const sums = { dtype: "F64", shape: [2], data: Float64Array.of(1, 2) } as const;
    const imageSums = { dtype: "F32", shape: [0], data: new Float32Array(0) } as const;
    for (const metadata of [{}, { search: "{" }, { search: '{"round":-1,"slot":0}' }]) {
      await writeSafetensors(
        path,
        [["sums", sums], ["imageSums", imageSums]],
        metadata as Record<string, string>,
      );
      await assertRejects(() => readSavedSearch(path), DataError, "is no interrupted search");
    }
    await Deno.writeTextFile(path, "text");
    await assertRejects(() => readSavedSearch(path), DataError);
  }));

Deno.test("the first setting that differs is named", () => {
  assertEquals(differingSetting({ a: "1", b: "2" }, { a: "1", b: "2" }), undefined);
  assertEquals(differingSetting({ a: "1", b: "2" }, { a: "1", b: "3" }), {
    name: "b",
    saved: "2",
    wanted: "3",
  });
  assertEquals(differingSetting({}, { a: "1" }), { name: "a", saved: "none", wanted: "1" });
});

Deno.test("a fingerprint follows length and contents, of small files and large ones", () =>
  withFolder(async (folder) => {
    const path = `${folder}/file`;
    const fingerprint = async (bytes: Uint8Array) => {
      await Deno.writeFile(path, bytes);
      return await fileFingerprint(path);
    };
    for (const length of [10, 3_000_000]) {
      const bytes = new Uint8Array(length).fill(1);
      const first = await fingerprint(bytes);
      assertEquals(await fingerprint(bytes), first);
      assertNotEquals(await fingerprint(bytes.subarray(1)), first);
      assertNotEquals(await fingerprint(bytes.map((value) => value + 1)), first);
      assertNotEquals(await fingerprint(bytes.with(length - 1, 2)), first);
    }
    await assertRejects(() => fileFingerprint(`${folder}/none`), DataError);
  }));

Deno.test("a fingerprint is the same when the system reads fewer bytes than it is asked for", () =>
  withFolder(async (folder) => {
    const path = `${folder}/file`;
    await Deno.writeFile(path, Uint8Array.from({ length: 3_000_000 }, (_, at) => at * at));
    const whole = await fileFingerprint(path);
    const { read } = Deno.FsFile.prototype;
    try {
      Deno.FsFile.prototype.read = function (bytes) {
        return read.call(this, bytes.subarray(0, 50_000));
      };
      assertEquals(await fileFingerprint(path), whole);
    } finally {
      Deno.FsFile.prototype.read = read;
    }
  }));
