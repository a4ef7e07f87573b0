/** Command-line flags: what a command declares, and the strict reading of arguments against it. */

import { UsageError } from "../errors.ts";
import { nearest, shorten } from "../suggest.ts";

interface Described {
  /** What the flag is for, without a full stop. */
  readonly description: string;
  /** Stands for the value in the help text, e.g. `DIR`. */
  readonly placeholder?: string;
}

interface Valued<T> extends Described {
  readonly default?: T;
  readonly required?: true;
}

/**
 * A flag that a command declares. `quantity` is a number above 0 that may end with K, M, G or T;
 * `strings` may be given several times, or, with `list`, several words at once.
 */
export type Flag =
  | Valued<string> & { readonly type: "string"; readonly choices?: readonly string[] }
  | Valued<number> & {
    readonly type: "number" | "integer";
    readonly minimum?: number;
    readonly maximum?: number;
  }
  | Valued<number> & { readonly type: "quantity" }
  | Described & { readonly type: "boolean" }
  | Described & { readonly type: "strings"; readonly required?: true; readonly list?: true };

/** Flags by name in camel case: `groupSize` is given as `--group-size`. */
export type Flags = Readonly<Record<string, Flag>>;

type Present<F extends Flag> = F extends { choices: readonly (infer C)[] } ? C
  : F extends { type: "string" } ? string
  : number;

type Value<F extends Flag> = F extends { type: "boolean" } ? boolean
  : F extends { type: "strings" } ? readonly string[]
  : F extends { default: string | number } | { required: true } ? Present<F>
  : Present<F> | undefined;

/** The values that a command receives for its flags. */
export type FlagValues<F extends Flags> = { readonly [Name in keyof F]: Value<F[Name]> };

/** The flag as it is typed: `groupSize` becomes `--group-size`. */
export function flagName(name: string): string {
  return "--" + name.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

const scales: Readonly<Record<string, number>> = { "": 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 };

function parseNumber(text: string): number | undefined {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

/** A number that may end with K, M, G or T; undefined for any other text. */
export function parseQuantity(text: string): number | undefined {
  const suffix = /[kmgt]$/i.exec(text)?.[0] ?? "";
  const value = parseNumber(text.slice(0, text.length - suffix.length));
  return value === undefined ? undefined : value * scales[suffix.toUpperCase()];
}

/** What a flag's value may be, as the end of a sentence. */
function describeAllowed(flag: Flag): string {
  switch (flag.type) {
    case "quantity":
      return "a number above 0, such as 1e9, 500M or 1G";
    case "integer":
    case "number": {
      const bounds: string[] = [];
      if (flag.minimum !== undefined) bounds.push(`at least ${flag.minimum}`);
      if (flag.maximum !== undefined) bounds.push(`at most ${flag.maximum}`);
      const noun = flag.type === "integer" ? "a whole number" : "a number";
      return bounds.length > 0 ? `${noun} (${bounds.join(", ")})` : noun;
    }
    case "string":
      return flag.choices ? flag.choices.join(", ") : "a text that is not empty";
    default:
      return "a text that is not empty";
  }
}

/** The value that a text stands for; undefined when the flag does not allow it. */
function parseValue(flag: Exclude<Flag, { type: "boolean" }>, text: string): string | number | undefined {
  switch (flag.type) {
    case "string":
      return text !== "" && (flag.choices?.includes(text) ?? true) ? text : undefined;
    case "strings":
      return text !== "" ? text : undefined;
    case "quantity": {
      const value = parseQuantity(text);
      return value !== undefined && value > 0 && Number.isFinite(value) ? value : undefined;
    }
    default: {
      const value = parseNumber(text);
      const valid = value !== undefined && Number.isFinite(value) && value >= (flag.minimum ?? -Infinity) &&
        value <= (flag.maximum ?? Infinity) && (flag.type === "number" || Number.isSafeInteger(value));
      return valid ? value : undefined;
    }
  }
}

function unknownArgument(argument: string, names: Iterable<string>): UsageError {
  const all = [...names];
  if (!argument.startsWith("-")) {
    return new UsageError(
      `"${shorten(argument)}" is not expected here: every input has a flag. Allowed: ${all.join(", ")}.`,
    );
  }
  const suggestion = nearest(argument, all);
  const guess = suggestion ? ` Did you mean ${suggestion}?` : "";
  return new UsageError(`There is no flag ${shorten(argument)}.${guess} Allowed: ${all.join(", ")}.`);
}

/**
 * Reads arguments of the forms `--flag value`, `--flag=value`, for lists `--flag value value` and for booleans `--flag`.
 *
 * @throws {UsageError} naming the flag, what was given and what is allowed
 */
export function parseFlags<const F extends Flags>(flags: F, args: readonly string[]): FlagValues<F> {
  const byName = new Map(Object.entries<Flag>(flags).map(([key, flag]) => [flagName(key), { key, flag }]));
  const values: Record<string, string | number | boolean | string[]> = {};
  for (const [key, flag] of Object.entries<Flag>(flags)) {
    if (flag.type === "boolean") values[key] = false;
    else if (flag.type === "strings") values[key] = [];
    else if (flag.default !== undefined) values[key] = flag.default;
  }

  const given = new Set<string>();
  const rest = [...args];
  while (rest.length > 0) {
    const argument = rest.shift()!;
    const separator = argument.startsWith("--") ? argument.indexOf("=") : -1;
    const name = separator < 0 ? argument : argument.slice(0, separator);
    const known = byName.get(name);
    if (!known) throw unknownArgument(name, byName.keys());
    const { key, flag } = known;
    if (given.has(name) && flag.type !== "strings") {
      throw new UsageError(`${name} is given twice. Give it once.`);
    }
    given.add(name);

    if (flag.type === "boolean") {
      if (separator >= 0) {
        throw new UsageError(
          `${name} takes no value; "${shorten(argument.slice(separator + 1))}" was given.`,
        );
      }
      values[key] = true;
      continue;
    }
    const text = separator >= 0
      ? argument.slice(separator + 1)
      : rest[0]?.startsWith("--")
      ? undefined
      : rest.shift();
    if (text === undefined) throw new UsageError(`${name} needs a value: ${describeAllowed(flag)}.`);
    const value = parseValue(flag, text);
    if (value === undefined) {
      throw new UsageError(`${name} cannot be "${shorten(text)}". Allowed: ${describeAllowed(flag)}.`);
    }
    if (flag.type === "strings") {
      const list = values[key] as string[];
      list.push(String(value));
      while (flag.list && rest.length > 0 && !rest[0].startsWith("-")) list.push(rest.shift()!);
    } else values[key] = value;
  }

  for (const [name, { flag }] of byName) {
    if ("required" in flag && flag.required && !given.has(name)) {
      throw new UsageError(`${name} ${flag.placeholder ?? "VALUE"} is missing: ${flag.description}.`);
    }
  }
  return values as FlagValues<F>;
}
