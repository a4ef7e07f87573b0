/** Turns what zod finds into messages that name the field, what was given and what is allowed. */

import type { z } from "zod";
import { nearest, shorten } from "../suggest.ts";
import { jsonSchema, type SchemaNode } from "./json_schema.ts";

/** Field names and list indices from the top of a configuration. */
export type Path = readonly (string | number)[];

/** A path as users write it: `training.batch`, `space.widths[1]`. */
export function formatPath(path: Path): string {
  return path.map((step, index) => typeof step === "number" ? `[${step}]` : index === 0 ? step : `.${step}`)
    .join("");
}

/** A value as it is shown in messages, shortened. */
export function formatValue(value: unknown): string {
  // JSON has no word for what a number like 1e309 becomes.
  const text = typeof value === "number" ? String(value) : JSON.stringify(value) ?? String(value);
  return shorten(text);
}

function alternatives(node: SchemaNode): readonly SchemaNode[] {
  return node.anyOf ?? [node];
}

/** The schema below a field or index; undefined where the schema has no such thing. */
export function childNode(node: SchemaNode, step: string | number): SchemaNode | undefined {
  for (const { properties, additionalProperties, prefixItems, items } of alternatives(node)) {
    if (typeof step === "number") {
      if (prefixItems) return prefixItems[step];
      if (items) return items;
    } else {
      if (properties && Object.hasOwn(properties, step)) return properties[step];
      if (additionalProperties) return additionalProperties;
    }
  }
  return undefined;
}

/** Names of the fields that a user may set in a schema node; empty when it is no object of fixed fields. */
export function fieldNames(node: SchemaNode): string[] {
  return alternatives(node).flatMap(({ properties }) => Object.keys(properties ?? {}))
    .filter((name) => name !== "$schema" && name !== "version");
}

/** Whether a schema node allows an object. */
export function allowsObject(node: SchemaNode): boolean {
  return alternatives(node).some(({ type }) => type === "object");
}

function describeNumber(node: SchemaNode): string {
  const noun = node.type === "integer" ? "a whole number" : "a number";
  const bounds: string[] = [];
  if (node.minimum !== undefined && node.minimum > Number.MIN_SAFE_INTEGER) {
    bounds.push(`at least ${node.minimum}`);
  }
  if (node.exclusiveMinimum !== undefined) bounds.push(`above ${node.exclusiveMinimum}`);
  if (node.maximum !== undefined && node.maximum !== Number.MAX_SAFE_INTEGER) {
    bounds.push(`at most ${node.maximum}`);
  }
  if (node.exclusiveMaximum !== undefined) bounds.push(`below ${node.exclusiveMaximum}`);
  return bounds.length > 0 ? `${noun} (${bounds.join(", ")})` : noun;
}

/** What a schema node allows, as the end of a sentence. */
export function describeNode(node: SchemaNode): string {
  if (node.anyOf) return node.anyOf.map(describeNode).join(", or ");
  if (node.const !== undefined) return formatValue(node.const);
  if (node.enum) return node.enum.map(formatValue).join(" or ");
  switch (node.type) {
    case "string":
      return node.minLength ? "a text that is not empty" : "a text";
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    case "array":
      return node.prefixItems
        ? `a list of ${node.prefixItems.length} entries, each ${describeNode(node.prefixItems[0])}`
        : `a list with at least one entry${
          node.maxItems === undefined ? "" : ` and at most ${node.maxItems}`
        }, each ${describeNode(node.items as SchemaNode)}`;
    case "object":
      return node.properties
        ? `an object (fields: ${fieldNames(node).join(", ")})`
        : `an object of names, each with ${describeNode(node.additionalProperties as SchemaNode)}`;
    default:
      return describeNumber(node);
  }
}

/** Says that a field does not exist, which one was probably meant, and which there are. */
export function unknownField(
  parent: Path,
  name: string,
  node: SchemaNode,
  file = "configuration",
): string {
  const allowed = fieldNames(node);
  const suggestion = nearest(name, allowed);
  const guess = suggestion ? ` Did you mean ${formatPath([...parent, suggestion])}?` : "";
  return `${formatPath([...parent, name])} is not a ${file} field.${guess} Allowed here: ${
    allowed.join(", ")
  }.`;
}

/** The value at a path; undefined when there is none. */
function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null
        ? (value as Record<string | number, unknown>)[step]
        : undefined,
    root,
  );
}

/** Issues of a union belong to the alternative of the given kind; without one, to the union itself. */
function unionIssues(issue: z.core.$ZodIssueInvalidUnion): z.core.$ZodIssue[] | undefined {
  const inside = issue.errors.find((issues) =>
    issues.every(({ path, code }) => path.length > 0 || code === "unrecognized_keys")
  );
  return inside?.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
}

/**
 * One sentence or two for each issue.
 *
 * @param raw the value that zod refused, before defaults
 * @param root its schema; a configuration's unless it is another file
 * @param file what the value as a whole is called
 * @returns the path and the text of each message
 */
export function explainIssues(
  issues: readonly z.core.$ZodIssue[],
  raw: unknown,
  root: SchemaNode = jsonSchema(),
  file = "configuration",
): { path: Path; text: string }[] {
  return issues.flatMap((issue) => {
    const path = issue.path as Path;
    const node = path.reduce<SchemaNode | undefined>((parent, step) =>
      parent && childNode(parent, step), root) ?? root;
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ path: [...path, key], text: unknownField(path, key, node, file) }));
    }
    if (issue.code === "invalid_union") {
      const inner = unionIssues(issue);
      if (inner) return explainIssues(inner, raw, root, file);
    }
    const given = valueAt(raw, path);
    const name = path.length === 0 ? `The ${file}` : formatPath(path);
    const found = given === undefined ? `${name} is missing` : `${name} cannot be ${formatValue(given)}`;
    return [{ path, text: `${found}. Allowed: ${describeNode(node)}.` }];
  });
}
