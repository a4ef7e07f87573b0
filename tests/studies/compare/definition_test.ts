import { assertEquals } from "@std/assert";
import { loadComparison } from "../../../src/studies/compare/definition.ts";

Deno.test("the published comparisons load", async () => {
  const folder = new URL("../../../configs/", import.meta.url).pathname;
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith("compare-")) continue;
    const { sizes, runs } = await loadComparison(folder + name);
    assertEquals(sizes.length, 3, name);
    assertEquals(new Set(runs.map(({ name }) => name)).size, runs.length, name);
  }
});
