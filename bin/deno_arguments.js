// @ts-check
/** What the launcher makes of a task of deno.json, which alone says what a command may do. */
import { join } from "node:path";

/**
 * @typedef {object} Command
 * @property {string} description
 * @property {readonly string[]} flags permissions and others, as the task has them
 * @property {string} file the program below the root, without its ending
 */

/**
 * Where a command runs.
 *
 * @typedef {object} Place
 * @property {string} root folder of deno.json, src, kernels and configs
 * @property {boolean} isClone the sources are TypeScript; otherwise they are JavaScript in an npm package
 * @property {string} nativeFolder where native libraries are loaded from
 */

/**
 * The tasks that are commands, by name.
 *
 * @param {Readonly<Record<string, { description: string, command: string }>>} tasks
 * @returns {Map<string, Command>}
 */
export function commandsOf(tasks) {
  const commands = new Map();
  for (const [name, { description, command }] of Object.entries(tasks)) {
    const parts = /^deno run ((?:--\S+ )+)(src\/cli\/\w+)\.ts$/.exec(command);
    if (parts) commands.set(name, { description, flags: parts[1].trim().split(" "), file: parts[2] });
  }
  return commands;
}

/**
 * Deno's arguments for a command, with paths that hold in any folder.
 *
 * @param {Command} command
 * @param {Place} place
 * @returns {string[]}
 */
export function denoArguments({ flags, file }, { root, isClone, nativeFolder }) {
  const placed = flags.map((flag) => {
    // In a permission's list of paths, a comma is written twice.
    if (/^--allow-ffi=node_modules(,|$)/.test(flag)) {
      return flag.replace("node_modules", () => nativeFolder.replaceAll(",", ",,"));
    }
    return flag.startsWith("--allow-env=") ? `${flag},SCION_LAUNCHER` : flag;
  });
  const program = join(root, file);
  return isClone
    ? ["run", ...placed, `--config=${join(root, "deno.json")}`, `${program}.ts`]
    : ["run", ...placed, "--no-config", "--no-lock", "--node-modules-dir=manual", `${program}.js`];
}
