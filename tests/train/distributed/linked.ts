/** Ranks within one process: what one sends, the others receive. */
import type { Communicator } from "../../../src/train/distributed/communicator.ts";

/** Communicators that are each other's peers. */
export function linkedCommunicators(size: number): Communicator[] {
  const boxes = new Map<string, PromiseWithResolvers<Uint8Array>>();
  const box = (from: number, to: number, round: number) => {
    const key = `${from} ${to} ${round}`;
    const known = boxes.get(key);
    if (known) return known;
    const made = Promise.withResolvers<Uint8Array>();
    boxes.set(key, made);
    return made;
  };
  return Array.from({ length: size }, (_, rank): Communicator => {
    let round = 0;
    return {
      rank,
      size,
      async exchange(parts, into) {
        const own = round++;
        parts.forEach((part, to) => box(rank, to, own).resolve(part.slice()));
        for (let from = 0; from < size; from++) {
          into[from].set(await box(from, rank, own).promise);
          boxes.delete(`${from} ${rank} ${own}`);
        }
      },
    };
  });
}
