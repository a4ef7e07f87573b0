/** JSON files with errors that say where they are. */

import { withoutMark } from "../byte_order_mark.ts";
import { ConfigurationError } from "../errors.ts";

interface Fault {
  readonly position: number;
  readonly expected: string;
}

// deno-lint-ignore no-control-regex -- JSON forbids raw control characters in strings
const stringPattern = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const scalarPattern = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])/y;
const spacePattern = /[ \t\n\r]*/y;

/** Finds the first fault of a text that `JSON.parse` refuses; its own errors often lack the position. */
class FaultFinder {
  #position = 0;
  constructor(readonly text: string) {}

  find(): Fault | undefined {
    const fault = this.#value();
    if (fault) return fault;
    this.#skip(spacePattern);
    return this.#position < this.text.length ? this.#fault("the end of the file") : undefined;
  }

  #fault(expected: string): Fault {
    return { position: this.#position, expected };
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#position;
    if (!pattern.test(this.text)) return false;
    this.#position = pattern.lastIndex;
    return true;
  }

  /** Skips white space and one character, if it comes next. */
  #take(character: string): boolean {
    this.#skip(spacePattern);
    if (this.text[this.#position] !== character) return false;
    this.#position++;
    return true;
  }

  #value(): Fault | undefined {
    if (this.#take("{")) return this.#entries("}", () => this.#field());
    if (this.#take("[")) return this.#entries("]", () => this.#value());
    if (this.#skip(stringPattern) || this.#skip(scalarPattern)) return undefined;
    return this.#fault("a value");
  }

  #entries(end: string, entry: () => Fault | undefined): Fault | undefined {
    if (this.#take(end)) return undefined;
    do {
      const fault = entry();
      if (fault) return fault;
    } while (this.#take(","));
    return this.#take(end) ? undefined : this.#fault(`"," or "${end}"`);
  }

  #field(): Fault | undefined {
    this.#skip(spacePattern);
    if (!this.#skip(stringPattern)) return this.#fault("a field name in double quotes");
    return this.#take(":") ? this.#value() : this.#fault('":"');
  }
}

/** Objects and lists inside each other, at most; no file of ours has more than six. */
export const mostLevels = 64;

/** Whether objects and lists lie deeper in each other than {@linkcode mostLevels}. */
export function isTooDeep(text: string): boolean {
  let level = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === "[" || token === "{") level++;
    else if (token === "]" || token === "}") level--;
    if (level > mostLevels) return true;
  }
  return false;
}

/** The name of a field that JSON may have, but that would change an object itself where it is copied. */
export const hiddenField = "__proto__";

/**
 * Refuses what no configuration has, and what the functions that follow could not cope with.
 * @throws {ConfigurationError} for a value that is too deep, or that has a field named {@linkcode hiddenField}
 */
export function checkStructure(value: unknown, name: string, level = 0): void {
  if (typeof value !== "object" || value === null) return;
  if (level >= mostLevels) throw tooDeep(name);
  if (Object.hasOwn(value, hiddenField)) {
    throw new ConfigurationError(`${name}: ${hiddenField} cannot be the name of a field. Take another name.`);
  }
  for (const inner of Object.values(value)) checkStructure(inner, name, level + 1);
}

function tooDeep(name: string): ConfigurationError {
  return new ConfigurationError(
    `${name} has more than ${mostLevels} objects and lists inside each other. Allowed: ${mostLevels}.`,
  );
}

/**
 * Parses JSON, with or without a byte-order mark.
 *
 * @param name what the text is, for messages, e.g. the file's path
 * @throws {ConfigurationError} naming line and column, what stands there and what was expected
 */
export function parseJson(contents: string, name: string): unknown {
  const text = withoutMark(contents);
  if (isTooDeep(text)) throw tooDeep(name);
  try {
    return JSON.parse(text);
  } catch (error) {
    const fault = new FaultFinder(text).find();
    if (!fault) throw new ConfigurationError(`${name} is not valid JSON: ${(error as Error).message}`);
    const before = text.slice(0, fault.position).split("\n");
    const found = text.slice(fault.position).match(/^(?:[\w.+-]+|.)/s)?.[0];
    const hint = found === "/" || found === "#" ? " JSON has no comments." : "";
    throw new ConfigurationError(
      `${name} is not valid JSON: line ${before.length}, column ${before.at(-1)!.length + 1}: expected ` +
        `${fault.expected}, found ${
          found === undefined ? "the end of the file" : JSON.stringify(found)
        }.${hint}`,
    );
  }
}
