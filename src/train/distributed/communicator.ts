/**
 * What several processes that train together ask of each other: all of them send each other bytes. Sums are made of that, in
 * the order of ranks, so that the same ranks get the same bits from every library, network and algorithm.
 */

/** The processes of a run, called ranks, and the way between them. */
export interface Communicator {
  /** Of this process, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /**
   * Every rank sends every rank its part. Called by all in the same order.
   *
   * @param parts `parts[r]` goes to rank r
   * @param into `into[r]` receives what rank r has for this one; as long as what it sends
   * @throws {DistributedError} naming ranks that do not answer in time
   */
  exchange(
    parts: readonly Uint8Array<ArrayBuffer>[],
    into: readonly Uint8Array<ArrayBuffer>[],
  ): Promise<void>;
}

function bytesOf(values: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** What every rank has, one after the other. All give as many values. */
export async function gatherAll(
  { rank, size, exchange }: Communicator,
  own: Float32Array<ArrayBuffer>,
): Promise<Float32Array<ArrayBuffer>> {
  const all = new Float32Array(size * own.length);
  const places = Array.from(
    { length: size },
    (_, from) => all.subarray(from * own.length, (from + 1) * own.length),
  );
  places[rank].set(own);
  const mine = bytesOf(own);
  await exchange(places.map(() => mine), places.map(bytesOf));
  return all;
}

/**
 * Puts the mean of what all ranks have in its place. Each adds up a part of all, in the order of ranks, divides, and gives it
 * to the others, which moves 2 (ranks - 1) / ranks of the values from and to each.
 */
export async function averageAll(
  { rank, size, exchange }: Communicator,
  values: Float32Array<ArrayBuffer>,
): Promise<void> {
  const bounds = Array.from({ length: size + 1 }, (_, part) => Math.floor(part * values.length / size));
  const parts = bounds.slice(0, size).map((from, part) => values.subarray(from, bounds[part + 1]));
  const own = parts[rank];
  const received = parts.map(() => new Float32Array(own.length));
  await exchange(parts.map(bytesOf), received.map(bytesOf));
  own.set(received[0]);
  for (const other of received.slice(1)) {
    for (let at = 0; at < own.length; at++) own[at] += other[at];
  }
  if (size > 1) { for (let at = 0; at < own.length; at++) own[at] /= size; }
  const mine = bytesOf(own);
  await exchange(parts.map(() => mine), parts.map(bytesOf));
}
