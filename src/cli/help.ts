/** The text of `--help`. */

import { exitStatusText } from "./exit_status.ts";
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

const lineWidth = 100;
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
  if (flag.type === "strings") return " (may be repeated)";
  if ("required" in flag && flag.required) return " (required)";
  return "default" in flag && flag.default !== undefined ? ` (default: ${flag.default})` : "";
}

/** Breaks a text into lines between its words. */
export function wrap(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const current = lines[lines.length - 1];
    if (current === "") lines[lines.length - 1] = word;
    else if (current.length + 1 + word.length <= width) lines[lines.length - 1] = `${current} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Usage, flags with their defaults, and examples. */
export function helpText({ name, summary, flags, examples }: CommandDescription): string {
  const entries = Object.entries(flags);
  const required = entries.filter(([, flag]) => "required" in flag && flag.required)
    .map(([key, flag]) => ` ${signature(key, flag)}`);
  const indent = Math.max(...entries.map(([key, flag]) => signature(key, flag).length)) + 4;
  const flagLines = entries.flatMap(([key, flag]) =>
    wrap(flag.description + notes(flag), lineWidth - indent).map((line, index) =>
      (index === 0 ? `  ${signature(key, flag)}` : "").padEnd(indent) + line
    )
  );
  return [
    ...wrap(summary, lineWidth),
    "",
    `Usage: deno task ${name}${required.join("")} [flags]`,
    "",
    "Flags:",
    ...flagLines,
    "",
    "Examples:",
    ...examples.map((example) => `  ${example}`),
    "",
    "Exit status:",
    ...wrap(exitStatusText, lineWidth - 2).map((line) => `  ${line}`),
    "",
  ].join("\n");
}
