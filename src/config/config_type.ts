/** The types of configurations, as text: what `z.output` infers is spelt out for readers, and for JSR. */
import { z } from "zod";
import { automaticFields, type SchemaNode } from "./json_schema.ts";
import { configSchema } from "./schema.ts";

const head =
  `/** The types of configurations. Generated from schema.ts by "deno task schema": change that file. */
`;

function typeOf(node: SchemaNode, indent: string): string {
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.enum) return node.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (node.anyOf) {
    const choices = node.default === "auto"
      ? node.anyOf.filter((choice) => choice.const !== "auto")
      : node.anyOf;
    return choices.map((choice) => typeOf(choice, indent)).join(" | ");
  }
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

/** The type before images and device have decided: that of complete configurations, but for what they decide about. */
function settingsType(schema: SchemaNode): string {
  const groups = Map.groupBy(automaticFields(schema).map((field) => field.split(".")), ([group]) => group);
  const names = (list: readonly string[]) => list.map((name) => JSON.stringify(name)).join(" | ");
  const fields = [...groups].map(([group, paths]) => {
    const open = names(paths.map(([, name]) => name));
    return `  ${group}: Omit<Config["${group}"], ${open}> & Record<${open}, number | "auto">;\n`;
  });
  return `Omit<Config, ${names([...groups.keys()])}> {\n${fields.join("")}}`;
}

/** The text of `src/config/config.ts`. */
export function configTypeText(): string {
  const schema = z.toJSONSchema(configSchema, { io: "output" }) as SchemaNode;
  const { $schema: _schema, version: _version, ...properties } = schema.properties!;
  return `${head}
/** A complete, checked configuration. */
export interface Config ${objectType({ ...schema, properties }, "")}

/** A checked configuration in which what is not given may be left to the images and the device. */
export interface Settings extends ${settingsType(schema)}
`;
}
