/**
 * Classification by weighted nearest neighbours in feature space (Wu et al. 2018): every neighbour votes for its class with
 * exp(cosine similarity / temperature).
 */
import type { Gpu } from "../gpu/device.ts";
import { forwardParams } from "../tensor/ops/convolution_geometry.ts";
import { launchConvolution } from "../tensor/ops/convolution_launch.ts";
import { l2Normalise } from "../tensor/ops/l2_normalise.ts";
import { productShape } from "../tensor/ops/linear.ts";
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

/** Queries that are compared with the bank in one launch. */
const queryRows = 256;

/** Part of the queries, 0 to 1, whose class the bank's vote gets right. A bank smaller than k votes as a whole. */
export async function knnAccuracy(
  gpu: Gpu,
  bank: LabelledFeatures,
  queries: LabelledFeatures,
  settings: KnnSettings,
): Promise<number> {
  const tape = new Tape(gpu, false);
  const normalised = (rows: Float32Array<ArrayBuffer>) => {
    const tensor = Tensor.from(gpu, rows, [rows.length / bank.dimension, bank.dimension]);
    const unit = l2Normalise(tape, tensor);
    tensor.release();
    return unit;
  };
  const bankUnit = normalised(bank.values);
  const classes = bank.labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const vote = new Voter(Math.min(settings.neighbours, bank.rows), settings.temperature, classes);
  let right = 0;
  for (let first = 0; first < queries.rows; first += queryRows) {
    const rows = Math.min(queryRows, queries.rows - first);
    const unit = normalised(queries.values.slice(first * bank.dimension, (first + rows) * bank.dimension));
    const similarities = tape.create([rows, bank.rows]);
    const shape = productShape(rows, bank.dimension, bank.rows, bank.dimension);
    launchConvolution(gpu, unit, bankUnit, similarities, forwardParams(shape));
    const found = await similarities.read();
    tape.discard(unit);
    tape.discard(similarities);
    for (let row = 0; row < rows; row++) {
      const winner = vote.winner(found.subarray(row * bank.rows, (row + 1) * bank.rows), bank.labels);
      if (winner === queries.labels[first + row]) right++;
    }
  }
  tape.release();
  return right / queries.rows;
}

/** Finds the k most similar rows with a heap whose root is the least of them, and lets them vote. */
class Voter {
  readonly #heap: Uint32Array;
  readonly #votes: Float64Array;

  constructor(readonly neighbours: number, readonly temperature: number, classes: number) {
    this.#heap = new Uint32Array(neighbours);
    this.#votes = new Float64Array(classes);
  }

  winner(similarities: Float32Array, labels: Int32Array): number {
    const heap = this.#heap;
    for (let row = 0; row < this.neighbours; row++) heap[row] = row;
    for (let place = (this.neighbours >> 1) - 1; place >= 0; place--) this.#sink(place, similarities);
    for (let row = this.neighbours; row < similarities.length; row++) {
      if (similarities[row] <= similarities[heap[0]]) continue;
      heap[0] = row;
      this.#sink(0, similarities);
    }
    const votes = this.#votes.fill(0);
    for (const row of heap) votes[labels[row]] += Math.exp(similarities[row] / this.temperature);
    return votes.indexOf(votes.reduce((most, vote) => Math.max(most, vote)));
  }

  #sink(place: number, similarities: Float32Array): void {
    const heap = this.#heap;
    for (;;) {
      let least = 2 * place + 1;
      if (least >= heap.length) return;
      if (least + 1 < heap.length && similarities[heap[least + 1]] < similarities[heap[least]]) least++;
      if (similarities[heap[place]] <= similarities[heap[least]]) return;
      [heap[place], heap[least]] = [heap[least], heap[place]];
      place = least;
    }
  }
}
