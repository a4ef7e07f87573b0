/** `deno task test:faults`: runs every campaign of `campaigns/`, or those whose file names are given. */
import type { Campaign } from "./campaign.ts";

const folder = new URL("campaigns/", import.meta.url);
const files = (await Array.fromAsync(Deno.readDir(folder)))
  .map(({ name }) => name)
  .filter((name) => name.endsWith(".ts"))
  .sort();
const unknown = Deno.args.filter((name) => !files.includes(`${name}.ts`));
if (unknown.length > 0) {
  console.error(
    `There is no campaign ${unknown.join(", ")}. Allowed: ${files.join(", ").replaceAll(".ts", "")}.`,
  );
  Deno.exit(2);
}

let injected = 0, survived = 0, lost = 0;
for (const file of files) {
  if (Deno.args.length > 0 && !Deno.args.includes(file.slice(0, -3))) continue;
  const { campaign } = await import(new URL(file, folder).href) as { campaign: Campaign };
  const start = performance.now();
  const result = await campaign();
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(
    `${result.name}: ${result.injected} injected, ${result.survived} survived, ${result.lost} lost (${seconds} s)`,
  );
  injected += result.injected;
  survived += result.survived;
  lost += result.lost;
}
console.log(`${injected} faults injected, ${survived} survived, data lost: ${lost === 0 ? "none" : lost}`);
Deno.exit(lost === 0 && survived === injected ? 0 : 1);
