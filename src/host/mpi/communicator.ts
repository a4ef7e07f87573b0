/** Ranks of `mpirun` and `srun` as a {@linkcode Communicator}. */
import { DistributedError } from "../../errors.ts";
import { turn } from "../../interrupt.ts";
import type { Communicator } from "../../train/distributed/communicator.ts";
import { findMpi, type Message, MpiLibrary } from "./library.ts";

/** Messages longer than this are sent in pieces: MPI counts in 32 bits, and pieces arrive while others are on their way. */
const pieceBytes = 16 * 2 ** 20;

/**
 * MPI moves bytes only while it is asked. So a wait asks without a pause for so many milliseconds, in which short messages
 * are there; then so many times between the turns of timers and signals, which leave the processor to others.
 */
const eagerMilliseconds = 8, testsBetweenTurns = 64;

/** Bytes and seconds that ranks have cost. */
export interface Traffic {
  /** Sent to other ranks. */
  bytes: number;
  /** Waited for them. */
  seconds: number;
}

/** MPI. */
export class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  /** Since the last reset by whoever reads it. */
  readonly traffic: Traffic = { bytes: 0, seconds: 0 };
  readonly #library: MpiLibrary;
  readonly #timeout: number;
  #tag = 0;

  /**
   * Starts MPI.
   *
   * @param timeout seconds after which a rank that sends nothing is given up
   * @throws {DistributedError} where there is no MPI, or it does not start
   */
  constructor(timeout: number) {
    this.#library = new MpiLibrary(findMpi());
    this.#timeout = timeout;
    ({ rank: this.rank, size: this.size } = this.#library);
  }

  /** Name and version of the library. */
  get description(): string {
    return this.#library.version;
  }

  exchange = async (
    parts: readonly Uint8Array<ArrayBuffer>[],
    into: readonly Uint8Array<ArrayBuffer>[],
  ): Promise<void> => {
    const begun = performance.now();
    const tag = this.#tag = (this.#tag + 1) % 0x4000;
    const { rank, size } = this;
    const receiving: [rank: number, message: Message][] = [],
      sending: [rank: number, message: Message][] = [];
    // The next rank first, so that not all send to the same one.
    for (let step = 1; step < size; step++) {
      const from = (rank + size - step) % size;
      for (const piece of piecesOf(into[from])) {
        receiving.push([from, this.#library.receive(piece, from, tag)]);
      }
    }
    for (let step = 1; step < size; step++) {
      const to = (rank + step) % size;
      for (const piece of piecesOf(parts[to])) sending.push([to, this.#library.send(piece, to, tag)]);
      this.traffic.bytes += parts[to].byteLength;
    }
    if (into[rank] !== parts[rank]) into[rank].set(parts[rank]);
    await this.#wait(receiving, "send");
    await this.#wait(sending, "receive");
    this.traffic.seconds += (performance.now() - begun) / 1000;
  };

  /** Ends all ranks with a status. */
  abort(status: number): never {
    return this.#library.abort(status);
  }

  /** Says that this rank is done; waits until all have. */
  finish(): void {
    this.#library.finish();
  }

  async #wait(messages: readonly [rank: number, message: Message][], what: string): Promise<void> {
    const begun = performance.now(), deadline = begun + 1000 * this.#timeout;
    let left = messages;
    for (let test = 1;; test++) {
      left = left.filter(([, message]) => !message.test());
      if (left.length === 0) return;
      if (test % testsBetweenTurns !== 0 || performance.now() < begun + eagerMilliseconds) continue;
      await turn();
      if (performance.now() < deadline) continue;
      const missing = [...new Set(left.map(([rank]) => rank))].sort((a, b) => a - b);
      throw new DistributedError(
        `rank ${
          missing.join(", ")
        } of ${this.size} did not ${what} anything to rank ${this.rank} for ${this.#timeout} s: ` +
          "it hangs, or is far slower than the others. Look at its node; --rank-timeout waits longer.",
      );
    }
  }
}

function piecesOf(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const count = Math.ceil(bytes.byteLength / pieceBytes);
  return Array.from(
    { length: count },
    (_, piece) => bytes.subarray(piece * pieceBytes, (piece + 1) * pieceBytes),
  );
}
