/** Changes to single configuration fields from the command line. */

import { ConfigurationError, UsageError } from "../errors.ts";
import {
  allowsObject,
  childNode,
  describeNode,
  formatPath,
  formatValue,
  type Path,
  unknownField,
} from "./explain.ts";
import { hiddenField, isTooDeep, mostLevels } from "./json.ts";
import { jsonSchema, type SchemaNode } from "./json_schema.ts";
import { shorten } from "../suggest.ts";

/** A new value for one field. */
export interface Override {
  /** Field names joined by dots, list indices as numbers: `training.batch`, `space.widths.1`. */
  readonly path: string;
  readonly value: unknown;
  /** The flag that asked for it, for messages. */
  readonly flag: string;
  /** Leaves a field that the file gives as it is. */
  readonly yields?: boolean;
}

/**
 * Reads the value of `--set`: `path=value`, the value as JSON or else as text.
 *
 * @throws {UsageError} when there is no `=`
 */
export function parseSet(text: string): Override {
  const separator = text.indexOf("=");
  if (separator < 1) {
    throw new UsageError(
      `--set ${shorten(text)}: give a field and a value, e.g. --set training.batch=128.`,
    );
  }
  const path = text.slice(0, separator), value = text.slice(separator + 1);
  if (path.length > longestPath) {
    throw new UsageError(
      `--set: the field's name has ${path.length} characters; there is none with more than ${longestPath}.`,
    );
  }
  if (isTooDeep(value)) {
    throw new UsageError(
      `--set ${path}: the value has more than ${mostLevels} objects and lists inside each other. Allowed: ${mostLevels}.`,
    );
  }
  return { path, value: parseLoosely(value), flag: "--set" };
}

/** Characters of a field's path, at most. */
const longestPath = 200;

function parseLoosely(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

type Container = Record<string | number, unknown>;

function isContainer(value: unknown): value is Container {
  return typeof value === "object" && value !== null;
}

/**
 * Sets one field of a configuration as read from a file, before defaults; missing parents are created.
 *
 * @param raw the parsed file; changed in place
 * @throws {ConfigurationError} when the schema has no such field, or its parent is no object
 */
export function applyOverride(
  raw: unknown,
  { path, value, flag, yields }: Override,
  root: SchemaNode = jsonSchema(),
): void {
  const fail = (message: string) => new ConfigurationError(`${flag} ${path}: ${message}`);
  if (!isContainer(raw) || Array.isArray(raw)) throw fail("the configuration is not an object.");
  const steps = path.split(".");
  if (steps.includes(hiddenField)) {
    throw fail(`${hiddenField} cannot be the name of a field. Take another name.`);
  }
  let node = root;
  let container: Container = raw;
  const done: (string | number)[] = [];
  steps.forEach((name, index) => {
    const step = Array.isArray(container) ? listIndex(container, name, done, fail) : name;
    const child = childNode(node, step);
    if (!child) throw fail(unknownField(done, name, node));
    node = child;
    done.push(step);
    if (index === steps.length - 1) {
      if (!yields || !Object.hasOwn(container, step)) container[step] = value;
      return;
    }
    if (!Object.hasOwn(container, step) && allowsObject(child)) container[step] = {};
    const existing = container[step];
    if (!isContainer(existing)) {
      const state = existing === undefined
        ? "not in the file"
        : `${formatValue(existing)}, which has no parts`;
      throw fail(`${formatPath(done)} is ${state}. Set it as a whole; allowed: ${describeNode(child)}.`);
    }
    container = existing;
  });
}

function listIndex(list: unknown[], name: string, parent: Path, fail: (message: string) => Error): number {
  const index = Number(name);
  if (!/^\d+$/.test(name) || index >= list.length) {
    throw fail(`${formatPath(parent)} has entries 0 to ${list.length - 1}; there is no entry "${name}".`);
  }
  return index;
}
