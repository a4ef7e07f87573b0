import { assertEquals } from "@std/assert";
import { writeCsvRows } from "../../src/store/csv_rows.ts";
import { randomValues } from "../helpers.ts";
import { withFolder } from "./with_folder.ts";

Deno.test("cells that need it are quoted, and numbers give their single precision back", () =>
  withFolder(async (folder) => {
    const path = `${folder}/rows.csv`;
    const names = ["plain.jpg", 'a, "b".jpg', "two\nlines"];
    const values = Float32Array.of(...randomValues(3, 1), 1e-30, 1 / 3, 16777217, 0, -0.5, 1e38);
    const layout = {
      leading: ["file", "label"],
      columns: 3,
      cells: (_: unknown, row: number) => [names[row], row === 1 ? "" : row],
    };
    assertEquals(await writeCsvRows(path, layout, [{ values, vectors: {} }]), 3);
    const text = await Deno.readTextFile(path);
    const lines = text.split("\n");
    assertEquals(lines[0], "file,label,f0,f1,f2");
    assertEquals(lines[1].startsWith("plain.jpg,0,"), true);
    assertEquals(
      text.includes('\n"a, ""b"".jpg",,1e-30,0.333333343,16777216\n"two\nlines",2,0,-0.5,9.99999968e+37\n'),
      true,
      text,
    );
    assertEquals(Float32Array.from(lines[1].split(",").slice(2), Number), values.subarray(0, 3));
  }));
