/** The JSON Schema of configurations, for editors (`configs/schema.json`) and for error messages. */

import { z } from "zod";
import { configSchema } from "./schema.ts";

type SchemaType = "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";

/** The parts of JSON Schema (draft 2020-12) that the configuration's schema consists of. */
export interface SchemaNode {
  readonly description?: string;
  /** Several where a plain value may be null. */
  readonly type?: SchemaType | SchemaType[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | SchemaNode;
  readonly items?: false | SchemaNode;
  readonly prefixItems?: readonly SchemaNode[];
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

let generated: SchemaNode | undefined;

/** The schema of a configuration file as a user writes it: fields with defaults may be absent. */
export function jsonSchema(): SchemaNode {
  return generated ??= z.toJSONSchema(configSchema, { io: "input", target: "draft-2020-12" }) as SchemaNode;
}

/** Fields that the images and the device decide about where they are not given, e.g. `moco.queue`. */
export function automaticFields({ properties = {} }: SchemaNode = jsonSchema(), path = ""): string[] {
  return Object.entries(properties).flatMap(([name, node]) =>
    node.default === "auto" ? [path + name] : automaticFields(node, `${path}${name}.`)
  );
}

/** The text of `configs/schema.json`. */
export function jsonSchemaText(): string {
  return JSON.stringify(jsonSchema(), null, 2) + "\n";
}
