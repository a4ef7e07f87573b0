import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ConfigurationError } from "../../../src/errors.ts";
import { loadComparison } from "../../../src/studies/compare/definition.ts";
import { smallConfig } from "../../pretrain/small_run.ts";
import { withFolder } from "../../store/with_folder.ts";

Deno.test("the published comparisons load", async () => {
  const folder = new URL("../../../configs/", import.meta.url).pathname;
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith("compare-")) continue;
    const { sizes, runs } = await loadComparison(folder + name);
    assertEquals(sizes.length, 3, name);
    assertEquals(new Set(runs.map(({ name }) => name)).size, runs.length, name);
  }
});

Deno.test("what a machine would decide about must be given, so that all runs have it", () =>
  withFolder(async (folder) => {
    const { space, head } = smallConfig;
    await Deno.writeTextFile(`${folder}/open.json`, JSON.stringify({ space, head, training: { batch: 8 } }));
    const load = async (set: Record<string, number>) => {
      const comparison = { config: "open.json", methods: [{ name: "a", set }], sizes: ["min"], seeds: [1] };
      await Deno.writeTextFile(`${folder}/compare.json`, JSON.stringify(comparison));
      return await loadComparison(`${folder}/compare.json`);
    };
    await assertRejects(
      () => load({}),
      ConfigurationError,
      "leaves training.epochs, moco.queue to the images and the device",
    );
    const { runs: [{ config }] } = await load({ "moco.queue": 16, "training.epochs": 3 });
    assertEquals([config.moco.queue, config.training.epochs, config.training.batch], [16, 3, 8]);
    await assertRejects(
      () => loadComparison(`${folder}/compare.json`, [{ path: "knn.every", value: 0, flag: "--set" }]),
      ConfigurationError,
      "nothing to judge by",
    );
  }));

Deno.test("what is no comparison is told field by field, with what is allowed", () =>
  withFolder(async (folder) => {
    const message = async (raw: object) => {
      await Deno.writeTextFile(`${folder}/wrong.json`, JSON.stringify(raw));
      const error = await assertRejects(() => loadComparison(`${folder}/wrong.json`), ConfigurationError);
      return error.message;
    };
    const methods = [{ name: "a" }];
    assertStringIncludes(await message({ methods }), "config is missing. Allowed: a text that is not empty.");
    assertStringIncludes(
      await message({ config: "a.json", methods, sized: [] }),
      "sized is not a comparison field. Did you mean sizes? Allowed here: config, sizes, seeds, every, methods.",
    );
    assertStringIncludes(await message({ config: "a.json", methods, seeds: [-1] }), "seeds[0] cannot be -1.");
  }));
