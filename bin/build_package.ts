/**
 * Fills `dist/`, or the folder that is named, with what the npm package runs: `npm pack` calls this. Deno takes no TypeScript below node_modules, so the
 * sources are there as JavaScript, and again as TypeScript beside it for their types; and it applies no import map there,
 * so names of `deno.json`'s `imports` become the packages that they stand for.
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import project from "../deno.json" with { type: "json" };

const root = new URL("../", import.meta.url);
const target = Deno.args.length > 0 ? pathToFileURL(`${Deno.args[0]}/`) : new URL("dist/", root);

/** Paths of all files in a folder, from the root. */
function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, root))].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${folder}${name}/`) : [`${folder}${name}`]
  );
}

/** What an import's name is below node_modules: `npm:deno-std@1.4.0/path/mod.js` is `deno-std/path/mod.js`. */
function packageName(specifier: string): string {
  return specifier.replace(/^npm:\/?((?:@[^/]+\/)?[^@/]+)@[^/]+/, "$1");
}

/** Replaces names that only the import map knows. */
function withoutImportMap(text: string): string {
  let replaced = text;
  for (const [name, specifier] of Object.entries(project.imports)) {
    const end = name.endsWith("/") ? "" : '"';
    replaced = replaced.replaceAll(`"${name}${end}`, `"${packageName(specifier)}${end}`);
  }
  return replaced;
}

/** Lets emitted code import emitted files. */
function withEmittedFiles(text: string): string {
  return text.replace(/"(\.{1,2}\/[^"\n]+)\.ts"/g, '"$1.js"');
}

function write(path: string, text: string): void {
  const file = new URL(path, target);
  Deno.mkdirSync(new URL(".", file), { recursive: true });
  Deno.writeTextFileSync(file, text);
}

const sources = filesIn("src/").filter((path) => path.endsWith(".ts"));
try {
  Deno.removeSync(target, { recursive: true });
} catch (error) {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
const { success, stderr } = new Deno.Command("deno", {
  args: ["transpile", "--no-check", "--outdir", fileURLToPath(target), ...sources],
  cwd: root,
}).outputSync();
if (!success) {
  console.error(new TextDecoder().decode(stderr));
  Deno.exit(1);
}
for (const path of sources) {
  write(path, withoutImportMap(Deno.readTextFileSync(new URL(path, root))));
  const emitted = path.replace(/\.ts$/, ".js");
  write(emitted, withEmittedFiles(withoutImportMap(Deno.readTextFileSync(new URL(emitted, target)))));
}
const assets = filesIn("src/").filter((path) => !path.endsWith(".ts"));
for (const path of [...assets, ...filesIn("kernels/"), ...filesIn("configs/"), "deno.json"]) {
  write(path, Deno.readTextFileSync(new URL(path, root)));
}
