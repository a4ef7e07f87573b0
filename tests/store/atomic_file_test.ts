import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { DataError } from "../../src/errors.ts";
import { writeAll, writeAtomically, writeFileAtomically } from "../../src/store/atomic_file.ts";
import { withFolder } from "./with_folder.ts";

const entries = (folder: string) => [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();

Deno.test("text and bytes are written whole, and nothing else stays behind", () =>
  withFolder(async (folder) => {
    await writeFileAtomically(join(folder, "text"), "größer\n");
    await writeFileAtomically(join(folder, "bytes"), new Uint8Array([0, 255]));
    assertEquals(await Deno.readTextFile(join(folder, "text")), "größer\n");
    assertEquals(await Deno.readFile(join(folder, "bytes")), new Uint8Array([0, 255]));
    assertEquals(entries(folder), ["bytes", "text"]);
  }));

Deno.test("partial files that killed processes left are removed; those of writers at work are not", () =>
  withFolder(async (folder) => {
    const path = join(folder, "file");
    await Deno.writeTextFile(path, "old");
    const hourAgo = Date.now() / 1000 - 3600;
    for (const left of ["file.partial", "file.0123abcd.partial"]) {
      await Deno.writeTextFile(join(folder, left), "half of something much longer");
      await Deno.utime(join(folder, left), hourAgo, hourAgo);
    }
    const others = ["file.4567cdef.partial", "file.89ab0123.partial", "file2.0123abcd.partial"];
    for (const other of others) await Deno.writeTextFile(join(folder, other), "");
    // A writer that waits for its data since an hour; one that has just begun and has no lock yet.
    using atWork = await Deno.open(join(folder, others[0]), { read: true, write: true });
    await atWork.lock(true);
    await Deno.utime(join(folder, others[0]), hourAgo, hourAgo);
    await writeFileAtomically(path, "new");
    assertEquals(await Deno.readTextFile(path), "new");
    assertEquals(entries(folder), ["file", ...others].sort());
  }));

Deno.test("two writers of one path at once: the file is whole, one of theirs", () =>
  withFolder(async (folder) => {
    const path = join(folder, "file");
    const texts = ["a", "b", "c", "d"].map((letter) => letter.repeat(300_000));
    await Promise.all(texts.map((text) => writeFileAtomically(path, text)));
    assertEquals(texts.includes(await Deno.readTextFile(path)), true);
    assertEquals(entries(folder), ["file"]);
  }));

Deno.test("the old file is there until the new one is complete, and stays when writing fails", () =>
  withFolder(async (folder) => {
    const path = join(folder, "file");
    await Deno.writeTextFile(path, "old");
    const failure = new Error("stopped half-way");
    await assertRejects(
      () =>
        writeAtomically(path, async (file) => {
          await writeAll(file, new TextEncoder().encode("ne"));
          assertEquals(await Deno.readTextFile(path), "old");
          throw failure;
        }),
      Error,
      failure.message,
    );
    assertEquals(await Deno.readTextFile(path), "old");
    assertEquals(entries(folder), ["file"]);
  }));

Deno.test("a folder that does not exist is a DataError with the path and the reason", () =>
  withFolder(async (folder) => {
    const path = join(folder, "missing", "file");
    await assertRejects(() => writeFileAtomically(path, "x"), DataError, `Cannot write ${path}`);
    const occupied = join(folder, "occupied");
    await Deno.mkdir(occupied);
    await assertRejects(() => writeFileAtomically(occupied, "x"), DataError, `Cannot write ${occupied}`);
    assertEquals(entries(folder), ["occupied"]);
  }));
