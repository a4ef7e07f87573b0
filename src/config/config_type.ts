/** The type of complete configurations, as text: what `z.output` infers is spelt out for readers, and for JSR. */
import { z } from "zod";
import type { SchemaNode } from "./json_schema.ts";
import { configSchema } from "./schema.ts";

const head =
  `/** The type of complete configurations. Generated from schema.ts by "deno task schema": change that file. */
`;

function typeOf(node: SchemaNode, indent: string): string {
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.enum) return node.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (node.anyOf) return node.anyOf.map((choice) => typeOf(choice, indent)).join(" | ");
  if (Array.isArray(node.type)) {
    return node.type.map((type) => typeOf({ ...node, type }, indent)).join(" | ");
  }
  switch (node.type) {
    case "object":
      return node.properties ? objectType(node, indent) : `Record<string, ${valueType(node, indent)}>`;
    case "array": {
      if (node.prefixItems) return `[${node.prefixItems.map((item) => typeOf(item, indent)).join(", ")}]`;
      const item = typeOf(node.items as SchemaNode, indent);
      return item.includes(" ") ? `(${item})[]` : `${item}[]`;
    }
    case "integer":
      return "number";
    default:
      return node.type ?? "unknown";
  }
}

function valueType({ additionalProperties }: SchemaNode, indent: string): string {
  return additionalProperties ? typeOf(additionalProperties, indent) : "unknown";
}

function objectType({ properties = {}, required = [] }: SchemaNode, indent: string): string {
  const inner = `${indent}  `;
  const fields = Object.entries(properties).map(([name, node]) => {
    const comment = node.description ? `${inner}/** ${node.description} */\n` : "";
    const optional = required.includes(name) ? "" : "?";
    return `${comment}${inner}${name}${optional}: ${typeOf(node, inner)};\n`;
  });
  return `{\n${fields.join("")}${indent}}`;
}

/** The text of `src/config/config.ts`. */
export function configTypeText(): string {
  const schema = z.toJSONSchema(configSchema, { io: "output" }) as SchemaNode;
  const { $schema: _schema, version: _version, ...properties } = schema.properties!;
  return `${head}
/** A complete, checked configuration. */
export interface Config ${objectType({ ...schema, properties }, "")}
`;
}
