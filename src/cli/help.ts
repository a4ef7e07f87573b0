/** The text of `--help`. */

import { exitStatusText } from "./exit_status.ts";
import { asInvoked } from "./invocation.ts";
import { type Flag, flagName, type Flags } from "./flags.ts";

/** What a command tells about itself. */
export interface CommandDescription {
  /** The task's name. */
  readonly name: string;
  /** What the command does, in one sentence. */
  readonly summary: string;
  readonly flags: Flags;
  /** Complete command lines. */
  readonly examples: readonly string[];
}

/** A description beside its flag has at least so much of the line; flags that leave less stand alone above it. */
const descriptionShare = 0.6;
const defaultPlaceholders = {
  string: "TEXT",
  strings: "TEXT",
  number: "NUMBER",
  integer: "N",
  quantity: "NUMBER",
} as const;

function signature(name: string, flag: Flag): string {
  if (flag.type === "boolean") return flagName(name);
  const choices = flag.type === "string" ? flag.choices?.join("|") : undefined;
  return `${flagName(name)} ${flag.placeholder ?? choices ?? defaultPlaceholders[flag.type]}`;
}

function notes(flag: Flag): string {
  if (flag.type === "strings") return flag.list ? " (one or more)" : " (may be repeated)";
  if ("required" in flag && flag.required) return " (required)";
  return "default" in flag && flag.default !== undefined ? ` (default: ${flag.default})` : "";
}

/** Puts pieces that belong together onto lines, with a blank between two. */
function fill(pieces: readonly string[], width: number): string[] {
  const lines = [pieces[0] ?? ""];
  for (const piece of pieces.slice(1)) {
    const current = lines[lines.length - 1];
    if (current.length + 1 + piece.length <= width) lines[lines.length - 1] = `${current} ${piece}`;
    else lines.push(piece);
  }
  return lines;
}

/** Breaks a text into lines between its words. */
export function wrap(text: string, width: number): string[] {
  return fill(text.split(" "), width);
}

/** A command line, broken before its flags so that a shell takes it as it stands. */
function commandLines(line: string, width: number): string[] {
  const lines = fill(line.split(/ (?=-)/), width - 6);
  const last = lines.length - 1;
  return lines.map((part, at) => `${at === 0 ? "  " : "    "}${part}${at < last ? " \\" : ""}`);
}

/** Flags in one column, their descriptions in another. */
function flagLines(flags: Flags, width: number): string[] {
  const entries = Object.entries(flags).map(([key, flag]) => ({
    signature: `  ${signature(key, flag)}`,
    text: asInvoked(flag.description + notes(flag)),
  }));
  const most = Math.floor(width * (1 - descriptionShare));
  const fitting = entries.map(({ signature }) => signature.length + 2).filter((length) => length <= most);
  const indent = Math.max(6, ...fitting);
  return entries.flatMap(({ signature, text }) => {
    const lines = wrap(text, width - indent).map((line) => " ".repeat(indent) + line);
    if (signature.length + 2 > indent) return [signature, ...lines];
    return [signature.padEnd(indent) + lines[0].trimStart(), ...lines.slice(1)];
  });
}

/** Characters of a line for help and other long texts: the terminal's, within reason; 80 where there is none. */
export function helpWidth(): number {
  if (!Deno.stdout.isTerminal()) return 80;
  return Math.min(120, Math.max(40, Deno.consoleSize().columns));
}

/**
 * Usage, flags with their defaults, and examples.
 *
 * @param width characters of a line; a single word may be longer
 */
export function helpText({ name, summary, flags, examples }: CommandDescription, width: number): string {
  const required = Object.entries(flags).filter(([, flag]) => "required" in flag && flag.required)
    .map(([key, flag]) => signature(key, flag));
  return [
    ...wrap(asInvoked(summary), width),
    "",
    ...fill([asInvoked(`Usage: deno task ${name}`), ...required, "[flags]"], width),
    "",
    "Flags:",
    ...flagLines(flags, width),
    "",
    "Examples:",
    ...examples.flatMap((example) => commandLines(asInvoked(example), width)),
    "",
    "Exit status:",
    ...wrap(exitStatusText, width - 2).map((line) => `  ${line}`),
    "",
  ].join("\n");
}
