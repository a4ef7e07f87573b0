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

Deno.test("a longer partial file left by a killed process is overwritten", () =>
  withFolder(async (folder) => {
    const path = join(folder, "file");
    await Deno.writeTextFile(path, "old");
    await Deno.writeTextFile(path + ".partial", "half of something much longer");
    await writeFileAtomically(path, "new");
    assertEquals(await Deno.readTextFile(path), "new");
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
