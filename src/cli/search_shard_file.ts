/** What a shard of a search leaves in its folder: sums of scores, and all that a merge says of the search. */
import { join } from "@std/path";
import { z } from "zod";
import { type Architecture, formatArchitecture } from "../elastic/architecture.ts";
import type { SpaceDefinition } from "../elastic/search_space.ts";
import { DataError } from "../errors.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import { withOutputStride } from "../nn/output_stride.ts";
import type { ElasticResNet } from "../nn/resnet.ts";
import { metrics, tasks } from "../search/places.ts";
import { batchnormModes } from "../search/runner.ts";
import { readSums, writeSums } from "../search/saved_search.ts";
import type { NamedShard, ShardSums } from "../search/shards.ts";
import type { FinishedSearch, SearchDescription } from "./search_files.ts";
import type { GivenFlags } from "./search_shard_flags.ts";

/** The file of a shard that is done. */
export const shardFile = "shard.safetensors";

/** What is said of a shard beside its sums. */
export interface ShardRecord {
  readonly description: SearchDescription;
  readonly space: SpaceDefinition;
  readonly seconds: number;
  readonly blockEvaluations: FinishedSearch["blockEvaluations"];
  /** Flags of the command, without those that say which shard it is and where it lies. */
  readonly flags: GivenFlags;
}

const whole = z.int().min(0);
const recordSchema = z.object({
  shard: z.object({ index: whole, count: z.int().min(1) }),
  settings: z.record(z.string(), z.string()),
  architectures: z.array(z.string()),
  space: z.looseObject({}),
  seconds: z.number().min(0),
  blockEvaluations: z.object({ done: whole, saved: whole }),
  flags: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
  description: z.object({
    run: z.string(),
    step: whole,
    device: z.string(),
    data: z.string(),
    images: whole,
    batch: whole,
    batchnorm: z.enum(batchnormModes),
    imageSize: whole,
    outputStride: z.number(),
    task: z.enum(tasks),
    metric: z.enum(metrics),
    metricSettings: z.record(z.string(), z.union([z.string(), z.number()])),
    stages: z.array(z.string()),
    groupSize: z.number().gt(0),
    intervals: z.object({ level: z.number(), resamples: whole, blocks: whole }).nullable(),
    seed: whole,
  }),
});

/** Path of a folder's shard. */
export function shardPath(folder: string): string {
  return join(folder, shardFile);
}

/** Writes a shard, atomically. */
export async function writeShard(
  folder: string,
  { shard, settings, candidates, ...collected }: ShardSums,
  record: ShardRecord,
): Promise<void> {
  const architectures = candidates.map(formatArchitecture);
  await writeSums(shardPath(folder), collected, {
    shard: JSON.stringify({ shard, settings, architectures, ...record }),
  });
}

/** A shard as it was read. */
export interface StoredShard extends Omit<ShardRecord, "space">, Omit<NamedShard, "name"> {
  /** The folder. */
  readonly name: string;
  /** As its features were compared. */
  readonly network: ElasticResNet;
}

/**
 * Reads the shard of a folder.
 *
 * @throws {DataError} when it is not what {@linkcode writeShard} writes
 */
export async function readShard(folder: string): Promise<StoredShard> {
  const path = shardPath(folder);
  const { sums, imageSums, metadata } = await readSums(path);
  try {
    const { space, architectures, ...record } = recordSchema.parse(JSON.parse(metadata.shard ?? "null"));
    const { images, outputStride } = record.description;
    const network = withOutputStride(
      configuredNetwork({ space: space as unknown as SpaceDefinition }),
      outputStride,
    );
    const candidates = architectures.map((text): Architecture => network.space.resolve(text));
    return { name: folder, ...record, network, candidates, images, sums, imageSums };
  } catch (error) {
    throw new DataError(`${path} is no shard of a search. Search it again.`, { cause: error });
  }
}
