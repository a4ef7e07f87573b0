/** A pretraining of several processes: the first, the leader, writes; all hold the same state after each step. */
import type { Config } from "../config/schema.ts";
import { DistributedError } from "../errors.ts";
import { sha256Hex } from "../store/digest.ts";
import { type EvaluationMetrics, isStep, type KnnMetrics, type MetricsLine } from "../store/metrics.ts";
import { gatherAll } from "../train/distributed/communicator.ts";
import type { Peers } from "../train/distributed/peers.ts";
import type { TrainerPeers, TrainingKeeper } from "../train/trainer.ts";
import type { PretrainState } from "./state.ts";

/** Whether this process writes the run's files and says how it goes. */
export function leads(peers: Peers | undefined): boolean {
  return peers === undefined || peers.rank === 0;
}

/**
 * Makes one training of all: gradients, running statistics and losses become means over ranks, so that states stay equal.
 * Where a rank was asked to end, every rank drops the step and ends with `agreed`.
 */
export function trainTogether(state: PretrainState, peers: Peers, agreed: AbortController): TrainerPeers {
  const statistics = [state.encoder, state.momentumEncoder].flatMap((encoder) =>
    encoder?.statistics.arena.chunks ?? []
  );
  return {
    size: peers.size,
    partOf: (batch) => peers.partOf(batch),
    async reduce({ gradients, losses, terms }) {
      const all = [...gradients.chunks, ...statistics, losses, ...terms ? [terms] : []];
      if (!await peers.average(state.gpu, all)) return;
      agreed.abort(
        peers.stop?.aborted ? peers.stop.reason : new DistributedError("another rank was asked to end"),
      );
      throw agreed.signal.reason;
    },
  };
}

/** What changes where a run goes on with another number of processes; undefined where it does not. */
export function changeOfRanks(
  metrics: readonly MetricsLine[],
  step: number,
  peers: Peers | undefined,
): string | undefined {
  const last = metrics.findLast((line) => isStep(line) && line.step <= step);
  const before = last && isStep(last) ? last.ranks ?? 1 : undefined, now = peers?.size ?? 1;
  if (before === undefined || before === now) return undefined;
  const words = (count: number) => count === 1 ? "one process" : `${count} ranks`;
  return `The run had ${words(before)} until now and goes on with ${
    words(now)
  }: batchnorm's groups are others from here on.`;
}

/** The configuration of what one process does of a run: of its batches a part. */
export function ownShare(config: Config, peers: Peers | undefined): Config {
  if (!peers) return config;
  const { training } = config;
  return { ...config, training: { ...training, batch: Math.ceil(training.batch / peers.size) } };
}

/** Keeps nothing: the leader does. */
export function keepsNothing(lastCheckpoint: string): TrainingKeeper<EvaluationMetrics | KnnMetrics> {
  return { lastCheckpoint, append: () => Promise.resolve(), save: () => Promise.resolve() };
}

/** Numbers, whole and from 0 to 2^32 - 1, that any rank has; ascending. All ranks call it. */
export async function unionOfRanks({ communicator }: Peers, own: Iterable<number>): Promise<number[]> {
  const numbers = Uint32Array.from(own);
  const gather = async (values: Uint32Array<ArrayBuffer>) =>
    new Uint32Array((await gatherAll(communicator, new Float32Array(values.buffer))).buffer);
  const counts = await gather(Uint32Array.of(numbers.length));
  const most = Math.max(...counts);
  const padded = new Uint32Array(most);
  padded.set(numbers);
  const all = await gather(padded);
  const each = Array.from(counts, (count, rank) => all.subarray(rank * most, rank * most + count));
  return [...new Set(each.flatMap((part) => [...part]))].sort((a, b) => a - b);
}

/**
 * Waits for all ranks, and sees that they are about to train the same.
 *
 * @param about each thing that decides about the run, by its name
 * @throws {DistributedError} naming the ranks that differ from the first, and in what
 */
export async function expectSame(peers: Peers, about: Readonly<Record<string, string>>): Promise<void> {
  const names = Object.keys(about);
  const digests = await Promise.all(
    names.map(async (name) => (await sha256Hex(new TextEncoder().encode(about[name]))).slice(0, 8)),
  );
  const own = new Float32Array(Uint32Array.from(digests, (digest) => Number.parseInt(digest, 16)).buffer);
  const all = new Uint32Array((await gatherAll(peers.communicator, own)).buffer);
  const at = (rank: number, index: number) => all[rank * names.length + index];
  const ranks = Array.from({ length: peers.size }, (_, rank) => rank);
  const different = names.flatMap((name, index) => {
    const others = ranks.filter((rank) => at(rank, index) !== at(0, index));
    return others.length > 0 ? [`${name} of rank ${others.join(", ")}`] : [];
  });
  if (different.length === 0) return;
  throw new DistributedError(
    `the ranks do not train the same: other ${
      different.join("; other ")
    } than of rank 0. All need the same command, ` +
      "images and version.",
  );
}
