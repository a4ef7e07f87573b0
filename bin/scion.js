#!/usr/bin/env node
// @ts-check
/**
 * The launcher: `scion COMMAND …` runs a command in any folder, with the permissions that its task in deno.json has. It
 * runs under Node, where npm or npx installed the package, and under Deno, from a clone (`./scion`).
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { commandsOf, denoArguments } from "./deno_arguments.js";

const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));
/** A clone has the sources; the package has them as JavaScript, because Deno takes no TypeScript below node_modules. */
const isClone = existsSync(join(packageFolder, "src"));
const root = isClone ? packageFolder : join(packageFolder, "dist");
/** How messages name the launcher, in place of `deno task`; the script `scion` of a clone says how it was called. */
const launcher = process.env.SCION_LAUNCHER || (isClone ? `deno run -A ${process.argv[1]}` : "scion");

/** @param {string} path */
const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));
const project = readJson(join(root, "deno.json"));
const pinnedDeno = readJson(join(packageFolder, "package.json")).optionalDependencies.deno;

const commands = commandsOf(project.tasks);

/** @param {string} message @param {number} status @returns {never} */
function fail(message, status) {
  console.error(`error: ${message}`);
  process.exit(status);
}

function overview() {
  const width = Math.max(...[...commands.keys()].map((name) => name.length));
  const lines = [...commands].map(([name, { description }]) => `  ${name.padEnd(width)}  ${description}`);
  return [
    `Usage: ${launcher} COMMAND [flags]`,
    "",
    "Commands:",
    ...lines,
    "",
    `Each takes --help. This is Scion ${project.version}.`,
  ].join("\n");
}

/** Whether version `one` is older than `other`. @param {string} one @param {string} other */
function isOlder(one, other) {
  const [a, b] = [one, other].map((version) => version.split(".").map(Number));
  const at = a.findIndex((part, index) => part !== b[index]);
  return at >= 0 && a[at] < b[at];
}

/** Deno's program: this process's own, the one that npm installed with the package, or the one on the PATH. */
function findDeno() {
  if ("Deno" in globalThis) return process.execPath;
  const target = `${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`;
  const program = process.platform === "win32" ? "deno.exe" : "deno";
  try {
    const deno = createRequire(import.meta.url).resolve("deno/package.json");
    const own = createRequire(deno).resolve(`@deno/${target}/package.json`);
    if (existsSync(join(dirname(own), program))) return join(dirname(own), program);
  } catch (error) {
    // npm leaves optional packages out where they do not fit the system or are not wanted.
    if (!(error instanceof Error) || !("code" in error) || error.code !== "MODULE_NOT_FOUND") throw error;
  }
  const { stdout, error } = spawnSync("deno", ["--version"], { encoding: "utf8" });
  const remedy = `Install Deno ${pinnedDeno} or newer: npm install --global deno`;
  if (error) {
    fail(`Deno is not here: npm did not install it with Scion, and none is on the PATH. ${remedy}`, 1);
  }
  const version = /^deno (\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? "0.0.0";
  if (isOlder(version, pinnedDeno)) {
    fail(`the Deno on the PATH is ${version}, which is too old. ${remedy}`, 1);
  }
  return "deno";
}

/** The node_modules folder that native libraries are loaded from. */
function nativeFolder() {
  if (isClone) return join(root, "node_modules");
  const sharp = createRequire(import.meta.url).resolve("sharp");
  const folder = "node_modules";
  return sharp.slice(0, sharp.indexOf(folder) + folder.length);
}

/** Runs Deno in place of this process: its streams, its signals, its exit status. @param {string[]} args */
function become(args) {
  const child = spawn(findDeno(), args, {
    stdio: "inherit",
    env: { ...process.env, SCION_LAUNCHER: launcher },
  });
  /** @type {NodeJS.Signals[]} */
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  // Not child.kill(): under Deno that calls the child killed by the signal, whatever status it then ends with.
  for (const signal of signals) process.on(signal, () => child.pid && process.kill(child.pid, signal));
  child.on("error", (error) => fail(`Deno cannot be started: ${error.message}`, 1));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

const [name, ...args] = process.argv.slice(2);
if (name === undefined || name === "--help" || name === "-h") console.log(overview());
else if (name === "--version") console.log(project.version);
else {
  const command = commands.get(name);
  if (command) become([...denoArguments(command, { root, isClone, nativeFolder: nativeFolder() }), ...args]);
  else fail(`There is no command "${name}". Allowed: ${[...commands.keys()].join(", ")}.`, 2);
}
