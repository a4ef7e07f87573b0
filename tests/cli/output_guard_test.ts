import { assertRejects } from "@std/assert";
import { featuresOutputs, guardOutputFile, loaderOutput } from "../../src/cli/output_guard.ts";
import { UsageError } from "../../src/errors.ts";
import { csvLeading } from "../../src/extract/embed.ts";
import { loaderMark } from "../../src/extract/pytorch_loader.ts";
import { writeCsvRows } from "../../src/store/csv_rows.ts";
import { writeNpz } from "../../src/store/npz.ts";
import { withFolder } from "../store/with_folder.ts";

Deno.test("files of features and loaders are written over where they are this program's, and only there", () =>
  withFolder(async (folder) => {
    const block = { values: Float32Array.of(1, 2), vectors: { indices: [0] } };
    const layout = { matrix: "features", columns: 2, vectors: ["indices"], maximumRows: 1, metadata: {} };
    const paths = { npz: `${folder}/f.npz`, csv: `${folder}/f.csv`, loader: `${folder}/load_f.py` };
    await writeNpz(paths.npz, layout, [block]);
    await writeCsvRows(paths.csv, { leading: csvLeading, columns: 2, cells: () => ["a", "b"] }, [block]);
    await Deno.writeTextFile(paths.loader, `${loaderMark} 0.1.0: …"""\n`);
    const guard = async () => {
      await guardOutputFile(paths.npz, featuresOutputs.npz, []);
      await guardOutputFile(paths.csv, featuresOutputs.csv, []);
      await guardOutputFile(paths.loader, loaderOutput, []);
    };
    await guard();
    for (
      const [path, others] of [[paths.npz, "PK"], [paths.npz, ""], [paths.csv, "file,name\n"], [
        paths.loader,
        "",
      ]]
    ) {
      const own = await Deno.readFile(path);
      await Deno.writeTextFile(path, others);
      await assertRejects(guard, UsageError, "that this command wrote, so it is not overwritten");
      await Deno.writeFile(path, own);
    }
  }));
