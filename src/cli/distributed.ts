/** `--distributed mpi`: one command as several processes, of which the first speaks for all. */
import type { Settings } from "../config/schema.ts";
import { UsageError } from "../errors.ts";
import { MpiCommunicator } from "../host/mpi/communicator.ts";
import { Peers } from "../train/distributed/peers.ts";
import type { Context } from "./command.ts";
import type { Flags } from "./flags.ts";
import { exitStatus } from "./exit_status.ts";
import { whyItFailed } from "./failure.ts";
import { Logger } from "./logger.ts";

/** Flags of commands that may be several processes. */
export const distributedFlags = {
  distributed: {
    type: "string",
    choices: ["mpi"],
    description:
      "Train with the other processes of mpirun or srun, each on a part of every batch; all fields of the configuration " +
      "must be given, and training.batch is that of all together",
  },
  rankTimeout: {
    type: "number",
    placeholder: "SECONDS",
    minimum: 1,
    default: 600,
    description: "With --distributed: give up when a process is silent for so long",
  },
} as const;

/** Processes that this one is one of. */
export interface Ranks {
  readonly peers: Peers;
  /** What to say of them. */
  readonly description: string;
}

/** So long the others wait for the first to say what went wrong, which most often is the same everywhere. */
const patienceMilliseconds = 2000;

/** What this process says: the first everything, the others nothing but what ends them. */
class Quiet extends Logger {
  override info(): void {}
  override warn(): void {}
  override status(): void {}
}

/**
 * Runs a command's work on every rank. Where it fails on one, all end, with one message. Ranks but the first end here.
 *
 * @param signal that asks this rank to end
 */
export async function onEveryRank<T>(
  { distributed, rankTimeout }: { readonly distributed?: "mpi" | undefined; readonly rankTimeout: number },
  { logger, signal, mute, command }: Pick<Context<Flags>, "logger" | "signal" | "mute"> & {
    readonly command: string;
  },
  work: (logger: Logger, ranks: Ranks | undefined) => Promise<T>,
): Promise<T> {
  if (distributed === undefined) return await work(logger, undefined);
  const communicator = new MpiCommunicator(rankTimeout);
  const { rank, size } = communicator;
  // Whatever ends this process before it is done ends the others, who would wait for it.
  const abort = () => communicator.abort(exitStatus.failed);
  if (size > 1) addEventListener("unload", abort);
  if (rank > 0) mute();
  const stop = stopOf(signal);
  try {
    const peers = new Peers(communicator, stop);
    const description = `${size} ranks, ${communicator.description}`;
    const result = await work(rank === 0 ? logger : new Quiet(), { peers, description });
    removeEventListener("unload", abort);
    communicator.finish();
    if (rank > 0) Deno.exit(exitStatus.done);
    return result;
  } catch (error) {
    if (rank === 0) throw error;
    await new Promise((resolve) => setTimeout(resolve, patienceMilliseconds));
    const { message, status } = whyItFailed(error, command, logger);
    logger.error(`rank ${rank} of ${size}: ${message}`);
    Deno.exit(status);
  }
}

/** Aborted by the command's own signals, and by SIGUSR1, with which schedulers tell that time is running out. */
function stopOf(signal: AbortSignal): AbortSignal {
  if (Deno.build.os === "windows") return signal;
  const warned = new AbortController();
  Deno.addSignalListener("SIGUSR1", () => warned.abort());
  return AbortSignal.any([signal, warned.signal]);
}

/** The fields that processes could find different numbers for. @throws {UsageError} naming those that are not given */
export function expectGiven({ data, moco, optimizer, training, knn }: Settings): void {
  const fields = {
    "data.heldOut": data.heldOut,
    "moco.queue": moco.queue,
    "optimizer.learningRate": optimizer.learningRate,
    "training.batch": training.batch,
    "training.epochs": training.epochs,
    ...knn.every > 0 && { "knn.neighbours": knn.neighbours, "knn.bank": knn.bank },
  };
  const open = Object.entries(fields).filter(([, value]) => value === "auto").map(([field]) => field);
  if (open.length === 0) return;
  throw new UsageError(
    `--distributed needs ${
      open.join(", ")
    }: what one process finds by measuring, another may find different. ` +
      "A --dry-run without --distributed says what it would take; give it with --set.",
  );
}
