/**
 * Classification by weighted nearest neighbours in feature space (Wu et al. 2018): every neighbour votes for its class with
 * exp(cosine similarity / temperature).
 */
import type { Gpu } from "../gpu/device.ts";
import { l2Normalise } from "../tensor/ops/l2_normalise.ts";
import { matmul } from "../tensor/ops/matmul.ts";
import { Tape } from "../tensor/tape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { FeatureMatrix } from "./features.ts";

/** Settings of the vote. */
export interface KnnSettings {
  readonly neighbours: number;
  readonly temperature: number;
}

/** Features with a class for each row. */
export interface LabelledFeatures extends FeatureMatrix {
  readonly labels: Int32Array;
}

/** Most queries that are compared with the bank in one launch. */
const mostQueries = 256;
/** Most rows of the bank in one tensor: their similarities to the queries take 64 MiB, and a launch has as many channels. */
const mostBankRows = 65536;

/** Cosines are at most 1, but for rounding; so many, and more, times exp of this stay finite. */
const largestExponent = 600;

/** Part of the queries, 0 to 1, whose class the bank's vote gets right; see {@linkcode knnClasses}. */
export async function knnAccuracy(
  gpu: Gpu,
  bank: LabelledFeatures,
  queries: LabelledFeatures,
  settings: KnnSettings,
): Promise<number> {
  const classes = await knnClasses(gpu, bank, queries, settings);
  return classes.reduce((right, one, row) => right + Number(one === queries.labels[row]), 0) / queries.rows;
}

/** The class that the bank's vote gives each query; see {@linkcode knnVotes}. */
export async function knnClasses(
  gpu: Gpu,
  bank: LabelledFeatures,
  queries: FeatureMatrix,
  settings: KnnSettings,
): Promise<Int32Array<ArrayBuffer>> {
  return (await knnVotes(gpu, bank, queries, settings)).predictions;
}

/** What the neighbours say of each query. */
export interface KnnVotes {
  /** The class with most votes. */
  readonly predictions: Int32Array<ArrayBuffer>;
  /** Its part of all votes, 0 to 1. */
  readonly confidences: Float64Array<ArrayBuffer>;
}

/** Lets the bank vote. One smaller than k votes as a whole. */
export async function knnVotes(
  gpu: Gpu,
  bank: LabelledFeatures,
  queries: FeatureMatrix,
  settings: KnnSettings,
): Promise<KnnVotes> {
  const { dimension } = bank;
  using tape = new Tape(gpu, false);
  const unitRows = ({ values }: FeatureMatrix, first: number, rows: number): Tensor => {
    using tensor = Tensor.from(gpu, values.slice(first * dimension, (first + rows) * dimension), [
      rows,
      dimension,
    ]);
    return l2Normalise(tape, tensor);
  };
  const bankRows = Math.min(mostBankRows, Math.floor(gpu.pool.limit / (4 * dimension)));
  const bankParts: { first: number; rows: number; unit: Tensor }[] = [];
  for (let first = 0; first < bank.rows; first += bankRows) {
    const rows = Math.min(bankRows, bank.rows - first);
    bankParts.push({ first, rows, unit: unitRows(bank, first, rows) });
  }
  const queryRows = Math.min(mostQueries, bankRows);
  const neighbours = Array.from(
    { length: Math.min(queryRows, queries.rows) },
    () => new Neighbours(Math.min(settings.neighbours, bank.rows)),
  );
  const classes = bank.labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const predictions = new Int32Array(queries.rows), confidences = new Float64Array(queries.rows);
  for (let first = 0; first < queries.rows; first += queryRows) {
    const rows = Math.min(queryRows, queries.rows - first);
    const unit = unitRows(queries, first, rows);
    for (const part of bankParts) {
      const similarities = matmul(tape, unit, part.unit, { transposeB: true });
      const found = await similarities.read();
      tape.discard(similarities);
      for (let row = 0; row < rows; row++) {
        neighbours[row].offer(found.subarray(row * part.rows, (row + 1) * part.rows), part.first);
      }
    }
    tape.discard(unit);
    for (let row = 0; row < rows; row++) {
      const { winner, share } = neighbours[row].vote(bank.labels, classes, settings.temperature);
      predictions[first + row] = winner;
      confidences[first + row] = share;
      neighbours[row].clear();
    }
  }
  return { predictions, confidences };
}

/** The k most similar rows that were offered, in a heap whose root is the least of them. */
class Neighbours {
  readonly #similarities: Float32Array;
  readonly #rows: Uint32Array;
  #count = 0;

  constructor(readonly capacity: number) {
    this.#similarities = new Float32Array(capacity);
    this.#rows = new Uint32Array(capacity);
  }

  clear(): void {
    this.#count = 0;
  }

  /** Offers rows `first`, `first` + 1, … of the bank. */
  offer(similarities: Float32Array, first: number): void {
    let at = 0;
    for (; this.#count < this.capacity && at < similarities.length; at++) {
      this.#rise(this.#count++, similarities[at], first + at);
    }
    for (; at < similarities.length; at++) {
      if (similarities[at] > this.#similarities[0]) this.#sink(similarities[at], first + at);
    }
  }

  /** The class with most of the votes exp(similarity / temperature), and its part of them. */
  vote(labels: Int32Array, classes: number, temperature: number): { winner: number; share: number } {
    const votes = new Float64Array(classes);
    // Only shares count. Where exp would overflow, votes are told relative to the largest.
    const shift = 1 / temperature < largestExponent ? 0 : this.#similarities.subarray(0, this.#count)
      .reduce((most, similarity) => Math.max(most, similarity), -1);
    for (let place = 0; place < this.#count; place++) {
      votes[labels[this.#rows[place]]] += Math.exp((this.#similarities[place] - shift) / temperature);
    }
    const most = votes.reduce((most, vote) => Math.max(most, vote));
    return { winner: votes.indexOf(most), share: most / votes.reduce((sum, vote) => sum + vote, 0) };
  }

  #set(place: number, similarity: number, row: number): void {
    this.#similarities[place] = similarity;
    this.#rows[place] = row;
  }

  /** Puts a row in at `place`, the first free one, or above. */
  #rise(place: number, similarity: number, row: number): void {
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#similarities[parent] <= similarity) break;
      this.#set(place, this.#similarities[parent], this.#rows[parent]);
      place = parent;
    }
    this.#set(place, similarity, row);
  }

  /** Puts a row in for the root. */
  #sink(similarity: number, row: number): void {
    const similarities = this.#similarities;
    let place = 0;
    for (;;) {
      let least = 2 * place + 1;
      if (least >= this.#count) break;
      if (least + 1 < this.#count && similarities[least + 1] < similarities[least]) least++;
      if (similarity <= similarities[least]) break;
      this.#set(place, similarities[least], this.#rows[least]);
      place = least;
    }
    this.#set(place, similarity, row);
  }
}
