/** What a comparison compares: a configuration, the ways in which it is changed, sizes, seeds. */
import { dirname, join } from "@std/path";
import { z } from "zod";
import { explainIssues } from "../../config/explain.ts";
import { parseJson } from "../../config/json.ts";
import type { SchemaNode } from "../../config/json_schema.ts";
import { withPublished } from "../../config/automatic.ts";
import { loadConfig, loadSettings } from "../../config/load.ts";
import type { Override } from "../../config/overrides.ts";
import type { Config } from "../../config/schema.ts";
import type { Architecture } from "../../elastic/architecture.ts";
import { macs } from "../../elastic/costs.ts";
import { SearchSpace } from "../../elastic/search_space.ts";
import { ConfigurationError } from "../../errors.ts";
import { configuredNetwork } from "../../nn/configured_network.ts";
import { withSeed } from "../pretrained.ts";

const method = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/).describe("A word for tables and folders."),
  alone: z.boolean().default(false).describe(
    "Pretrain each size by itself, in place of one network that holds them all.",
  ),
  set: z.record(z.string(), z.unknown()).default({}).describe(
    "Fields of the configuration that differ, by their path.",
  ),
});

/** A comparison's file. */
const comparisonSchema = z.strictObject({
  $schema: z.string().optional(),
  config: z.string().min(1).describe("The configuration, relative to this file."),
  sizes: z.array(z.string().min(1)).min(1).default(["min", "middle", "max"]).describe(
    "Architectures that are judged: min, middle (by MACs), max, a name, or an id.",
  ),
  seeds: z.array(z.int().min(0).max(0xffff_ffff)).min(1).default([1, 2]).describe("Seeds of pretraining."),
  every: z.int().min(1).optional().describe(
    "Keeps and judges a checkpoint of each run every so many epochs: accuracy along pretraining, over epochs and over " +
      "time. Without it, runs are judged at their end.",
  ),
  methods: z.array(method).min(1).describe(
    "The ways that are compared; the first is what the others are compared with.",
  ),
});

/** An architecture under the name that a comparison gives it. */
export interface Size {
  readonly name: string;
  readonly architecture: Architecture;
}

/** One pretraining of a comparison. */
export interface PlannedRun {
  readonly method: string;
  readonly seed: number;
  /** Of its folder. */
  readonly name: string;
  readonly config: Config;
  /** What is judged when it is done. */
  readonly sizes: readonly Size[];
}

/** A comparison that can be run. */
export interface Comparison {
  /** Of the supernet. */
  readonly config: Config;
  readonly sizes: readonly Size[];
  readonly runs: readonly PlannedRun[];
  /** Epochs between the checkpoints that are judged; undefined where only the end is. */
  readonly every: number | undefined;
}

/**
 * Reads a comparison.
 *
 * @param shared changes of the configuration for all methods, before their own
 * @throws {ConfigurationError} naming what is wrong
 */
export async function loadComparison(path: string, shared: readonly Override[] = []): Promise<Comparison> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    throw new ConfigurationError(
      `${path} cannot be read as a comparison: ${error.message}. configs/compare-demo.json is one.`,
      { cause: error },
    );
  }
  const raw = parseJson(text, path);
  const result = comparisonSchema.safeParse(raw);
  if (!result.success) {
    const schema = z.toJSONSchema(comparisonSchema, { io: "input" }) as SchemaNode;
    const faults = explainIssues(result.error.issues, raw, schema, "comparison");
    throw new ConfigurationError(
      faults.map(({ text }) => `${path}: ${text}`).join("\n"),
    );
  }
  const { config: base, methods, sizes: names, seeds, every } = result.data;
  for (
    const [what, list] of [["methods", methods.map(({ name }) => name)], ["sizes", names], [
      "seeds",
      seeds,
    ]] as const
  ) {
    if (new Set<unknown>(list).size < list.length) {
      throw new ConfigurationError(`${path}: ${what} names one twice.`);
    }
  }
  const configPath = join(dirname(path), base);
  const config = await loadConfig(configPath, shared);
  if (config.knn.every === 0) {
    throw new ConfigurationError(
      `${configPath} has knn.every 0: then no image is held out, and there is nothing to judge by. Set it to a number of ` +
        "epochs.",
    );
  }
  const sizes = names.map((name): Size => ({ name, architecture: resolveSize(config, name) }));
  const runs: PlannedRun[] = [];
  for (const seed of seeds) {
    for (const { name, alone, set } of methods) {
      const overrides = Object.entries(set).map(([field, value]) => ({
        path: field,
        value,
        flag: `${path}, method ${name}, set`,
      }));
      // All seeds see the same images.
      const own = keepingEvery(
        every,
        withSeed(await loadDecided(configPath, [...shared, ...overrides]), seed, config),
      );
      if (!alone) runs.push({ method: name, seed, name: `${name}-seed-${seed}`, config: own, sizes });
      else {
        for (const size of sizes) {
          runs.push({
            method: name,
            seed,
            name: `${name}-${size.name}-seed-${seed}`,
            config: only(own, size.architecture),
            sizes: [size],
          });
        }
      }
    }
  }
  return { config, sizes, runs, every };
}

function keepingEvery(epochs: number | undefined, config: Config): Config {
  if (epochs === undefined) return config;
  return { ...config, training: { ...config.training, checkpointEvery: epochs } };
}

/** A configuration that says how it trains: what a machine would decide would not be the same for all runs. */
async function loadDecided(path: string, overrides: readonly Override[] = []): Promise<Config> {
  const settings = await loadSettings(path, overrides);
  const { training: { epochs, batch }, moco: { queue } } = settings;
  const fields = { "training.epochs": epochs, "training.batch": batch, "moco.queue": queue };
  const open = Object.entries(fields).flatMap(([field, value]) => value === "auto" ? [field] : []);
  if (open.length === 0) return withPublished(settings);
  throw new ConfigurationError(
    `${path} leaves ${
      open.join(", ")
    } to the images and the device, but the runs of a comparison need equal numbers. ` +
      "Set them there, or in the set of each method; pretrain --dry-run says which would be chosen.",
  );
}

function resolveSize(config: Config, name: string): Architecture {
  const network = configuredNetwork(config);
  const { space } = network;
  if (name !== "middle") return space.resolve(name);
  const cost = (one: Architecture) => macs(network, one, config.data.imageSize);
  const middle = (cost(space.min) + cost(space.max)) / 2;
  let nearest: Architecture = space.min;
  for (const one of space.enumerate()) {
    if (Math.abs(cost(one) - middle) < Math.abs(cost(nearest) - middle)) nearest = one;
  }
  return nearest;
}

/** The configuration of a network that has one size. */
function only(config: Config, { id }: Architecture): Config {
  const { stem, widths, depths } = new SearchSpace(config.space).resolve(id);
  return {
    ...config,
    space: {
      ...config.space,
      stem: { ...config.space.stem, widths: [stem] },
      widths: widths.map((width) => [width]),
      depths: depths.map((depth) => [depth]),
      named: {},
    },
    sandwich: { largest: true, smallest: false, random: 0, aloneEpochs: 0 },
  };
}
