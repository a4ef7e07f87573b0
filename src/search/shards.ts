/**
 * A search over several devices: each scores a part of the candidates, and what they collected is put together again. The
 * batches and the blocks of images are those of the whole search, and a prefix computes the same for whatever follows, so
 * that the sums, and with them scores, intervals and ties, are those of the search in one piece, bit for bit.
 */
import { type Architecture, formatArchitecture } from "../elastic/architecture.ts";
import { DataError, UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Network } from "../nn/network.ts";
import { ImageSums } from "./image_sums.ts";
import type { Place } from "./places.ts";
import type { ScoredTree } from "./rank_scores.ts";
import { differingSetting, type SearchSettings } from "./saved_search.ts";
import {
  architecturesSetting,
  prepareSearch,
  scoreCandidates,
  type ScoreHooks,
  type ScoreRequest,
} from "./scoring.ts";
import { scoresOf } from "./search.ts";
import type { TableFormat } from "./similarity/score_table.ts";
import { formatShard, type ShardOf } from "./split.ts";
import type { CollectedSums } from "./sums.ts";
import { buildTree, type PrefixTree, type TreeWork } from "./tree.ts";

/** What a shard collected. */
export interface ShardSums extends CollectedSums {
  readonly shard: ShardOf;
  /** What decides about scores, the shard's number among it. */
  readonly settings: SearchSettings;
  readonly candidates: readonly Architecture[];
  /** Images of the search. */
  readonly images: number;
}

/** How a shard ended. */
export interface ShardOutcome {
  /** Undefined when it was interrupted. */
  readonly collected: ShardSums | undefined;
  readonly tree: PrefixTree;
  readonly work: TreeWork;
  /** Images of a batch. */
  readonly batch: number;
  /** Blocks of images that intervals will be over; 0 where there will be none. */
  readonly imageBlocks: number;
  /** Those of earlier parts included. */
  readonly seconds: number;
}

/**
 * Scores one shard of a search. The request is that of the whole search, the same for all its shards.
 *
 * @throws {OtherSearchError} when the saved search is another, or another shard
 * @throws {DataError} for fewer images than the metric needs
 * @throws {UsageError} for a metric that cannot compare the places, or memory too small for the smallest batch
 */
export async function scoreShard(
  gpu: Gpu,
  request: ScoreRequest,
  shard: ShardOf,
  hooks: ScoreHooks = {},
): Promise<ShardOutcome> {
  const prepared = await prepareSearch(gpu, request, shard);
  const { part: tree, work, batch, blocks, settings } = prepared;
  const { scores, sums, images, seconds } = await scoreCandidates(gpu, request, prepared, hooks);
  const collected = scores && {
    ...{ shard, settings, sums, candidates: tree.candidates },
    ...{ imageSums: images.values, images: request.images.count },
  };
  return { collected, tree, work, batch, imageBlocks: blocks, seconds };
}

/** A shard with a name for messages, e.g. its folder. */
export type NamedShard = ShardSums & { readonly name: string };

/**
 * Refuses shards that are not of one search, or given twice.
 *
 * @throws {UsageError} naming two of them, and what differs
 */
export function expectOneSearch(shards: readonly Pick<NamedShard, "name" | "shard" | "settings">[]): void {
  const [first, ...others] = shards;
  const seen = new Map<number, string>([[first.shard.index, first.name]]);
  const wordsOf = ({ shard, settings }: Pick<NamedShard, "shard" | "settings">) => {
    return { ...settings, shard: `number of shards: ${shard.count}` };
  };
  for (const { name, shard, settings } of others) {
    const difference = differingSetting(wordsOf({ shard, settings }), wordsOf(first));
    if (difference) {
      throw new UsageError(
        `The shards are of different searches: ${name} has another ${difference.name} (${difference.saved}) than ` +
          `${first.name} (${difference.wanted}).`,
      );
    }
    const twin = seen.get(shard.index);
    if (twin !== undefined) {
      throw new UsageError(`${twin} and ${name} both hold shard ${formatShard(shard)}. Give one of them.`);
    }
    seen.set(shard.index, name);
  }
}

/**
 * Puts shards together; needs no device. What several of them computed must be the same in all.
 *
 * @param network the student's, as its features were compared
 * @param shards all of a search, in any order
 * @throws {UsageError} when they are of different searches
 * @throws {DataError} when they are not all of it, or contradict each other
 */
export async function mergeShards(
  network: Network,
  places: readonly Place[],
  format: TableFormat,
  shards: readonly NamedShard[],
): Promise<ScoredTree> {
  expectOneSearch(shards);
  const tree = buildTree(network, shards.flatMap(({ candidates }) => candidates), places);
  const [{ settings, images }] = shards;
  if (await architecturesSetting(tree.candidates) !== settings.architectures) {
    throw new DataError(
      `The shards have ${tree.candidates.length} architectures, and are not the parts of the search's ` +
        `${settings.architectures.split(",")[0]}. Search them again.`,
    );
  }
  const { components, imageComponents } = format;
  const merged = new MergedSums(tree, ImageSums.of(images, tree.slots, imageComponents), components);
  for (const shard of shards) merged.add(shard);
  return { tree, format, scores: scoresOf(tree, format, merged.sums), images: merged.images };
}

/** Sums of a whole tree, filled from its parts. */
class MergedSums {
  /** [slots, components]. */
  readonly sums: Float64Array<ArrayBuffer>;
  /** By candidate, where its slots are named. */
  readonly #places: ReadonlyMap<string, number>;
  /** By slot, the shard that it came from. */
  readonly #owners = new Map<number, string>();

  constructor(readonly tree: PrefixTree, readonly images: ImageSums, readonly components: number) {
    this.sums = new Float64Array(tree.slots * components);
    const { candidates, places } = tree;
    this.#places = new Map(candidates.map((one, at) => [formatArchitecture(one), at * places.length]));
  }

  add(shard: NamedShard): void {
    const { network, places, candidateSlots } = this.tree;
    const part = buildTree(network, shard.candidates, places);
    this.#expectLengths(shard, part.slots);
    part.candidates.forEach((candidate, at) => {
      const target = this.#places.get(formatArchitecture(candidate))!;
      places.forEach(({ name }, place) => {
        const from = part.candidateSlots[at * places.length + place];
        const owner = this.#take(shard, from, candidateSlots[target + place]);
        if (owner !== undefined) {
          throw contradiction(owner, shard.name, `${name} of ${formatArchitecture(candidate)}`);
        }
      });
    });
  }

  #expectLengths({ name, sums, imageSums }: NamedShard, slots: number): void {
    const [values, imageValues] = [slots * this.components, slots * this.#imageValues];
    if (sums.length === values && imageSums.length === imageValues) return;
    throw new DataError(
      `${name} has ${sums.length} sums and ${imageSums.length} numbers of images, its architectures ${values} and ` +
        `${imageValues}. Search that shard again.`,
    );
  }

  /** Numbers of images of a slot. */
  get #imageValues(): number {
    return this.images.blocks * this.images.components;
  }

  /** Takes a slot over; gives the shard that has other numbers of it, where there is one. */
  #take({ name, sums, imageSums }: NamedShard, from: number, to: number): string | undefined {
    const owner = this.#owners.get(to);
    if (owner === name) return undefined;
    const pairs = [
      [slotOf(sums, from, this.components), slotOf(this.sums, to, this.components)],
      [slotOf(imageSums, from, this.#imageValues), this.images.ofSlot(to)],
    ];
    if (owner === undefined) {
      for (const [values, target] of pairs) target.set(values);
      this.#owners.set(to, name);
      return undefined;
    }
    const same = pairs.every(([values, there]) => values.every((value, at) => Object.is(value, there[at])));
    return same ? undefined : owner;
  }
}

function slotOf<T extends Float64Array | Float32Array>(values: T, slot: number, length: number): T {
  return values.subarray(slot * length, (slot + 1) * length) as T;
}

function contradiction(one: string, other: string, what: string): DataError {
  return new DataError(
    `${one} and ${other} collected different sums for ${what}, which both computed: their devices or drivers differ, ` +
      "or a file was changed. Search both shards again, on machines of one kind.",
  );
}
