/** The folders of a search's shards: what each holds, and which shard is missing. */
import { join, normalize } from "@std/path";
import { DataError, UsageError } from "../errors.ts";
import { readSavedSearch } from "../search/saved_search.ts";
import { expectOneSearch } from "../search/shards.ts";
import { formatShard, type ShardOf } from "../search/split.ts";
import { commandLine } from "../shell.ts";
import { interruptedFile } from "./search_session.ts";
import { readShard, shardFile, shardPath, type StoredShard } from "./search_shard_file.ts";
import { parseShard, shardFolder } from "./search_shard_flags.ts";

/** A folder without a shard that is done. */
interface Unfinished {
  readonly folder: string;
  /** What it has in its place. */
  readonly why: string;
  readonly interrupted: boolean;
  /** Which shard it would be, where that can be seen. */
  readonly shard?: ShardOf;
}

/**
 * Reads all shards of a search, in the order of their numbers.
 *
 * @throws {UsageError} for folders that do not belong together
 * @throws {DataError} where shards are missing, interrupted or damaged, with the command that searches each of them
 */
export async function readShards(folders: readonly string[]): Promise<StoredShard[]> {
  const found: (StoredShard | Unfinished)[] = [];
  for (const folder of folders) found.push(await readFolder(folder));
  const shards = found.filter(isDone);
  const unfinished = found.filter((one): one is Unfinished => !isDone(one));
  const described = unfinished.map(({ folder, why }) => `${folder} ${why}`);
  if (shards.length === 0) {
    throw new DataError(`None of these folders holds a shard that is done: ${described.join("; ")}.`);
  }
  expectOneSearch(shards.map(withGroupSize));
  const [{ shard: { count } }] = shards;
  const missing = Array.from({ length: count }, (_, index) => index)
    .filter((index) => !shards.some(({ shard }) => shard.index === index));
  if (missing.length > 0) throw shardsMissing(missing, unfinished, shards[0]);
  if (unfinished.length > 0) {
    throw new UsageError(`All ${count} shards are there, but also ${described.join("; ")}. Leave it out.`);
  }
  return shards.toSorted((a, b) => a.shard.index - b.shard.index);
}

function isDone(one: StoredShard | Unfinished): one is StoredShard {
  return "sums" in one;
}

/** Groups are the ranking's, and no setting of scores; but shards must agree about them. */
function withGroupSize({ name, shard, settings, description }: StoredShard) {
  return { name, shard, settings: { ...settings, "group size": String(description.groupSize) } };
}

async function readFolder(folder: string): Promise<StoredShard | Unfinished> {
  const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
  const path = shardPath(folder);
  try {
    if (await exists(path)) return await readShard(folder);
  } catch (error) {
    return { folder, why: `has a damaged shard (${reasonOf(error)}); remove ${path}`, interrupted: false };
  }
  const interrupted = join(folder, interruptedFile);
  if (!await exists(interrupted)) return { folder, why: `has no ${shardFile}`, interrupted: false };
  try {
    const { settings } = await readSavedSearch(interrupted);
    const shard = parseShard(settings.shard ?? "");
    return { folder, why: "was interrupted", interrupted: true, ...(shard && { shard }) };
  } catch (error) {
    const why = `was interrupted, and that is damaged (${reasonOf(error)}); remove ${interrupted}`;
    return { folder, why, interrupted: false };
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof DataError)) throw error;
  return error.message.replace(/\.$/, "");
}

/** Names the shards that are missing, with the command that searches each of them. */
function shardsMissing(
  missing: readonly number[],
  unfinished: readonly Unfinished[],
  { shard: { count }, flags, description: { run } }: StoredShard,
): DataError {
  const standard = (index: number) => shardFolder(run, { index, count });
  const left = [...unfinished];
  const take = (wanted: (one: Unfinished) => boolean): Unfinished | undefined => {
    const at = left.findIndex(wanted);
    return at === -1 ? undefined : left.splice(at, 1)[0];
  };
  const known = missing.map((index) =>
    take(({ shard, folder }) => shard?.index === index || normalize(`${folder}/`) === `${standard(index)}/`)
  );
  const lines = missing.map((index, at) => {
    // Any of the other folders may become the shard: what it holds says which one it is, and not its name.
    const its = known[at] ?? take(({ shard }) => shard === undefined);
    const shard = formatShard({ index, count });
    const out = its && normalize(`${its.folder}/`) !== `${standard(index)}/` ? its.folder : undefined;
    return [
      `shard ${shard} ${its ? `(${its.folder} ${its.why})` : "(in none of the folders)"}:`,
      `  ${commandLine("search", { ...flags, shard, out, resume: its?.interrupted })}`,
    ].join("\n");
  });
  const others = left.map(({ folder, why }) => `${folder} ${why}`);
  const many = missing.length === 1 ? `1 of ${count} shards is` : `${missing.length} of ${count} shards are`;
  return new DataError(
    [`${many} missing. Search what is missing, then merge again:`, ...lines, ...others].join("\n"),
  );
}
