import type { NeighbourSheet } from "../../src/pretrain/neighbours.ts";

/** A picture of one grey pixel. */
const picture = "data:image/gif;base64,R0lGODlhAQABAIAAAICAgAAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==";

/** Ten images with six neighbours each. */
export function exampleNeighbours(labelled: boolean): NeighbourSheet {
  return {
    bank: 2048,
    heldOut: labelled,
    rows: Array.from({ length: 10 }, (_, row) => ({
      picture,
      name: `query/${row}.jpg`,
      neighbours: Array.from({ length: 6 }, (_, place) => ({
        picture,
        name: `<bank>/${row}-${place}.jpg`,
        cosine: 0.97 - 0.01 * row - 0.02 * place,
        sameClass: labelled ? (row + place) % 3 > 0 : undefined,
      })),
    })),
  };
}
