import { assertAlmostEquals, assertEquals } from "@std/assert";
import { knnAccuracy, knnVotes, type LabelledFeatures } from "../../src/evaluate/knn.ts";
import { purpose, Random } from "../../src/random.ts";
import { gpuTest } from "../helpers.ts";

function clusters(rows: number, dimension: number, spread: number, seed: number): LabelledFeatures {
  const random = new Random(seed, purpose.test);
  const labels = Int32Array.from({ length: rows }, (_, row) => row % 3);
  const values = new Float32Array(rows * dimension);
  for (let at = 0; at < values.length; at++) {
    const centre = at % dimension === labels[Math.floor(at / dimension)] ? 1 : 0;
    values[at] = 5 * (centre + spread * random.normal());
  }
  return { rows, dimension, values, labels };
}

/** The definition, in float64 and by sorting. */
function reference(
  bank: LabelledFeatures,
  queries: LabelledFeatures,
  neighbours: number,
  temperature: number,
): number {
  const unit = ({ values, dimension }: LabelledFeatures, row: number) => {
    const vector = [...values.subarray(row * dimension, (row + 1) * dimension)];
    return vector.map((value) => value / Math.hypot(...vector));
  };
  let right = 0;
  for (let query = 0; query < queries.rows; query++) {
    const vector = unit(queries, query);
    const similarities = Array.from({ length: bank.rows }, (_, row) => ({
      label: bank.labels[row],
      similarity: unit(bank, row).reduce((sum, value, at) => sum + value * vector[at], 0),
    })).sort((a, b) => b.similarity - a.similarity).slice(0, neighbours);
    const votes = [0, 0, 0];
    for (const { label, similarity } of similarities) votes[label] += Math.exp(similarity / temperature);
    if (votes.indexOf(Math.max(...votes)) === queries.labels[query]) right++;
  }
  return right / queries.rows;
}

gpuTest("kNN agrees with its definition", async (gpu) => {
  const bank = clusters(301, 7, 0.6, 1);
  const queries = clusters(300, 7, 0.6, 2);
  for (const [neighbours, temperature] of [[1, 0.1], [20, 0.1], [200, 0.07], [1000, 0.5]]) {
    const accuracy = await knnAccuracy(gpu, bank, queries, { neighbours, temperature });
    assertAlmostEquals(accuracy, reference(bank, queries, neighbours, temperature), 1 / 299);
  }
});

gpuTest("kNN is perfect on separate clusters and chance on noise", async (gpu) => {
  const settings = { neighbours: 10, temperature: 0.1 };
  assertEquals(await knnAccuracy(gpu, clusters(60, 5, 0.01, 3), clusters(30, 5, 0.01, 4), settings), 1);
  const noise = await knnAccuracy(gpu, clusters(900, 5, 50, 5), clusters(600, 5, 50, 6), settings);
  assertAlmostEquals(noise, 1 / 3, 0.1);
});

gpuTest("a bank of more rows than a launch takes, its nearest row in any part", async (gpu) => {
  const rows = 70_000, dimension = 8;
  const random = new Random(7, purpose.test);
  // Nothing but noise in the first half of the dimensions; each query's own direction is one row of the bank.
  const values = Float32Array.from(
    { length: rows * dimension },
    (_, at) => at % dimension < 4 ? random.normal() : 0,
  );
  const labels = new Int32Array(rows);
  const places = [0, 32_767, 65_535, 65_536, rows - 1];
  const queries = new Float32Array(places.length * dimension);
  places.forEach((row, query) => {
    labels[row] = 1;
    for (const side of [0, 1, 2, 3]) {
      const value = side === query % 4 ? 3 : query;
      queries[query * dimension + 4 + side] = value;
      values[row * dimension + 4 + side] = value;
    }
  });
  const accuracy = await knnAccuracy(
    gpu,
    { rows, dimension, values, labels },
    { rows: places.length, dimension, values: queries, labels: new Int32Array(places.length).fill(1) },
    { neighbours: 1, temperature: 0.1 },
  );
  assertEquals(accuracy, 1);
  assertEquals(gpu.pool.use.used, 0);
});

gpuTest("votes at a temperature where exp overflows are those of the nearest", async (gpu) => {
  const rows = (values: number[], labels: number[]) => ({
    rows: labels.length,
    dimension: 2,
    values: Float32Array.from(values),
    labels: Int32Array.from(labels),
  });
  const bank = rows([0.9, 0.1, 1, 0, 0.8, 0.2], [0, 1, 0]);
  const votes = await knnVotes(gpu, bank, rows([1, 0], [1]), { neighbours: 3, temperature: 0.001 });
  assertEquals([...votes.predictions], [1]);
  assertEquals(votes.confidences[0] > 0.99 && votes.confidences[0] <= 1, true);
});
