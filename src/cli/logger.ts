/** Messages for people, on stderr; results go to stdout (see `command.ts`). */

import { asInvoked } from "./invocation.ts";
import { isGone } from "./system_error.ts";

/** Where a logger writes. */
export interface LogTarget {
  write(text: string): void;
  /** Whether lines can be rewritten in place. */
  readonly isTerminal: boolean;
  /** Characters per line. */
  columns(): number;
}

interface SynchronousWriter {
  writeSync(bytes: Uint8Array): number;
}

/** Writes a whole text; a pipe may take it in parts. */
export function writeText(writer: SynchronousWriter, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(writer.writeSync(bytes));
}

let standardErrorGone = false;

/** The process's stderr. When its reader has gone, e.g. with the terminal, there is no one to tell, and work goes on. */
export const standardError: LogTarget = {
  write(text) {
    if (standardErrorGone) return;
    try {
      writeText(Deno.stderr, text);
    } catch (error) {
      if (!isGone(error)) throw error;
      standardErrorGone = true;
    }
  },
  isTerminal: Deno.stderr.isTerminal(),
  columns: () => standardErrorGone ? 80 : Deno.consoleSize().columns,
};

const clearLine = "\r\x1b[K";

/** Prints lines, and keeps one status line below them when the target is a terminal. */
export class Logger {
  #status = "";

  constructor(readonly target: LogTarget = standardError) {}

  /** A line of information. */
  info(text: string): void {
    this.#print(text);
  }

  /** Something that the user should know but that does not stop the command. */
  warn(text: string): void {
    this.#print(`warning: ${text}`);
  }

  /** Why the command ends. */
  error(text: string): void {
    this.#print(`error: ${text}`);
  }

  /** Replaces the status line at the bottom; an empty text removes it. Nothing happens unless on a terminal. */
  status(text: string): void {
    if (!this.target.isTerminal) return;
    this.#status = text.slice(0, Math.max(1, this.target.columns() - 1));
    this.target.write(clearLine + this.#status);
  }

  #print(said: string): void {
    const text = asInvoked(said);
    this.target.write(this.#status === "" ? `${text}\n` : `${clearLine}${text}\n${this.#status}`);
  }
}
