/** The flags of a search over several machines: `--shard` and `--merge`, and what goes with them. */
import { join } from "@std/path";
import { UsageError } from "../errors.ts";
import type { ShardOf } from "../search/split.ts";
import { flagName, type Flags } from "./flags.ts";

/** More shards than this are a mistake. */
const mostShards = 10_000;

/** The shard that is asked for. Throws {@linkcode UsageError} for what is none. */
export function shardOf({ shard }: { readonly shard: string | undefined }): ShardOf | undefined {
  if (shard === undefined) return undefined;
  const parsed = parseShard(shard);
  if (parsed) return parsed;
  throw new UsageError(
    `--shard cannot be "${shard}". Allowed: I/N with N from 1 to ${mostShards} and I from 0 to N - 1, ` +
      "e.g. 0/4, 1/4, 2/4 and 3/4.",
  );
}

/** A shard from its text, e.g. `0/4`; undefined for any other text. */
export function parseShard(text: string): ShardOf | undefined {
  const [index, count] = /^(\d{1,6})\/(\d{1,6})$/.exec(text)?.slice(1).map(Number) ?? [];
  return index < count && count <= mostShards ? { index, count } : undefined;
}

/** The folder of a shard, unless `--out` says another. */
export function shardFolder(run: string, { index, count }: ShardOf): string {
  return join(run, `search-shard-${index}-of-${count}`);
}

/** Flags that decide about the bests of groups, and about times. */
const rankingFlags = ["prefer", "latency", "measure", "measure-best"];

/** Flags that a merge takes. */
const mergeFlags = ["merge", "run", "out", ...rankingFlags];

/**
 * Refuses flags that a shard has no use for.
 *
 * @param flags those that were given
 */
export function checkShardFlags(flags: GivenFlags): void {
  const flag = rankingFlags.find((name) => name in flags);
  if (flag === undefined) return;
  throw new UsageError(
    `--${flag} goes with --merge and not with --shard: a shard ranks nothing, and times of several machines do not ` +
      "compare. Leave it out here.",
  );
}

/**
 * Refuses flags that a merge has no use for.
 *
 * @param flags those that were given
 */
export function checkMergeFlags(flags: GivenFlags): void {
  const flag = Object.keys(flags).find((name) => !mergeFlags.includes(name));
  if (flag === undefined) return;
  throw new UsageError(
    `--${flag} goes with a search and not with --merge: the shards say what was searched. Allowed beside it: ${
      mergeFlags.slice(1).map((name) => `--${name}`).join(", ")
    }.`,
  );
}

/** Flags as {@linkcode commandLine} takes them. */
export type GivenFlags = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** The flags that differ from their defaults, by their names with dashes. */
export function givenFlags(declared: Flags, flags: Readonly<Record<string, unknown>>): GivenFlags {
  return Object.fromEntries(
    Object.entries(declared).flatMap(([name, flag]) => {
      const value = flags[name];
      const absent = value === undefined || value === false || Array.isArray(value) && value.length === 0;
      const standard = "default" in flag && flag.default === value;
      return absent || standard ? [] : [[flagName(name).slice(2), value as GivenFlags[string]]];
    }),
  );
}
