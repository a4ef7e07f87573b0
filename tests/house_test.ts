/** The house keeps its order: arrows run one way, nothing of the host below it, files stay small. */
import { assertEquals } from "@std/assert";

const root = new URL("../src/", import.meta.url).pathname;

/** Folders from the ground up; a file may import from its own folder and from those before. Files of the root are below all. */
const order = [
  ["elastic", "config", "store"],
  ["gpu"],
  ["tensor"],
  ["nn"],
  ["host"],
  ["data"],
  ["evaluate", "train"],
  ["pretrain"],
  ["search", "extract", "tuning"],
  ["finetune"],
  ["studies"],
  ["report", "doctor"],
  ["cli", "api"],
];

async function sources(folder = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(root + folder)) {
    if (isDirectory) found.push(...await sources(`${folder}${name}/`));
    else if (name.endsWith(".ts")) found.push(folder + name);
  }
  return found;
}

/** Files below `src` that a file imports; types, which are gone when it runs, apart. */
function importsOf(path: string, text: string): { path: string; type: boolean }[] {
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : "";
  const pattern = /^(?:import|export)\s+(type\s+)?([^;]*?)\s*from "(\.[^"]+\.ts)"/gm;
  const at = (target: string) => new URL(target, `file:///${folder}`).pathname.slice(1);
  const later = [...text.matchAll(/\b(?:import|new URL)\("(\.[^"]+\.ts)"/g)];
  return [
    ...[...text.matchAll(pattern)].map(([, type, names, target]) => ({
      path: at(target),
      type: type !== undefined || !/[{,]\s*(?!type\b)\w/.test(names) && names.includes("{"),
    })),
    // Also what is imported later, or runs as a Worker.
    ...later.map(([, target]) => ({ path: at(target), type: false })),
  ];
}

const files = new Map<string, { text: string; imports: { path: string; type: boolean }[] }>();
for (const path of await sources()) {
  const text = await Deno.readTextFile(root + path);
  files.set(path, { text, imports: importsOf(path, text) });
}

const levelOf = (path: string) => {
  const folder = path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
  return folder === "" ? -1 : order.findIndex((folders) => folders.includes(folder));
};

Deno.test("every folder has its place, and arrows point down", () => {
  const wrong: string[] = [];
  for (const [path, { imports }] of files) {
    if (path === "mod.ts") continue;
    if (levelOf(path) === -1 && path.includes("/")) wrong.push(`${path} is in a folder without a place`);
    for (const { path: target, type } of imports) {
      // Types are facts about values that come from below; they make nothing run.
      if (type) continue;
      if (levelOf(target) > levelOf(path)) wrong.push(`${path} imports ${target}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("no circles", () => {
  const state = new Map<string, "open" | "done">();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      circles.push([...way.slice(way.indexOf(path)), path].join(" -> "));
      return;
    }
    state.set(path, "open");
    for (const { path: target } of files.get(path)?.imports ?? []) visit(target, [...way, path]);
    state.set(path, "done");
  };
  for (const path of files.keys()) visit(path, []);
  assertEquals(circles, []);
});

Deno.test("nothing of Deno in the engine, the networks, training and the search's core", () => {
  const free = ["gpu/", "tensor/", "nn/", "elastic/", "train/", "evaluate/", "search/"];
  const wrong = [...files].filter(([path, { text }]) =>
    free.some((folder) => path.startsWith(folder)) &&
    /\bDeno\.|\bnavigator\./.test(text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ""))
  );
  assertEquals(wrong.map(([path]) => path), []);
});

Deno.test("files are no longer than one holds in the head", () => {
  const long = [...files].filter(([, { text }]) => text.split("\n").length > 400);
  assertEquals(long.map(([path]) => path), []);
});
