/** What the tests of the metrics share. */
import type { Gpu } from "../../src/gpu/device.ts";
import { purpose, Random } from "../../src/random.ts";
import type { SimilarityMetric } from "../../src/search/similarity/metric.ts";
import { ScoreTable } from "../../src/search/similarity/score_table.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { elements, type Shape } from "../../src/shape.ts";
import type { Maps, Matrix } from "./similarity_reference.ts";

/** Smooth, mostly positive maps, as after a ReLU: random channels over random bumps, some positions zero. */
export function featureMaps(shape: Maps["shape"], seed: number): Maps {
  const random = new Random(seed, purpose.test, 1);
  const offset = random.uniform(-0.2, 0.6);
  return {
    shape,
    values: Float32Array.from({ length: elements(shape) }, () => Math.max(0, offset + random.normal())),
  };
}

/** Other values from a map's own. */
export function changed(maps: Maps, change: (value: number, index: number) => number): Maps {
  return { shape: maps.shape, values: maps.values.map(change) };
}

/** Values with their shape. */
export interface HostTensor {
  readonly values: Float32Array<ArrayBuffer>;
  readonly shape: Shape;
}

/** A matrix for the device. */
export function flat(rows: Matrix): HostTensor {
  return { values: Float32Array.from(rows.flat()), shape: [rows.length, rows[0].length] };
}

/**
 * Scores candidates against a teacher. Each has one tensor an image batch; the teacher's are released before candidates
 * are compared.
 */
export async function similarities(
  gpu: Gpu,
  metric: SimilarityMetric,
  teacher: readonly HostTensor[],
  candidates: readonly (readonly HostTensor[])[],
): Promise<number[]> {
  const table = new ScoreTable(gpu, metric, candidates.length);
  teacher.forEach(({ values, shape }, batch) => {
    const uploaded = Tensor.from(gpu, values, shape);
    const tensors = candidates.map((candidate) =>
      Tensor.from(gpu, candidate[batch].values, candidate[batch].shape)
    );
    const prepared = metric.prepareTeacher(uploaded);
    uploaded.release();
    tensors.forEach((tensor, slot) => {
      prepared.accumulate(tensor, table, slot);
      tensor.release();
    });
    prepared.release();
  });
  const scores = await table.scores();
  table.release();
  return [...scores];
}
