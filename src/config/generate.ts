/** `deno task schema`: writes what is made from `schema.ts`. */
import { configTypeText } from "./config_type.ts";
import { jsonSchemaText } from "./json_schema.ts";

await Deno.writeTextFile(new URL("../../configs/schema.json", import.meta.url), jsonSchemaText());
await Deno.writeTextFile(new URL("config.ts", import.meta.url), configTypeText());
