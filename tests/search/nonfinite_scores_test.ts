/** A score of features that are not finite, or too large for their products, is NaN under every metric: never a number. */
import { assert, assertEquals } from "@std/assert";
import { AffinityMetric } from "../../src/search/similarity/affinity.ts";
import { CkaMetric } from "../../src/search/similarity/cka.ts";
import { CosineMetric } from "../../src/search/similarity/cosine.ts";
import type { SimilarityMetric } from "../../src/search/similarity/metric.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { gpuTest } from "../helpers.ts";
import { changed, featureMaps, type HostTensor, similarities } from "./similarity_helpers.ts";
import type { Maps } from "./similarity_reference.ts";

const shape = [4, 5, 3, 3] as const;

/** Metrics by what they are called in a failure, and whether they take vectors. */
function metrics(gpu: Gpu): [name: string, metric: SimilarityMetric, vectors?: boolean][] {
  return [
    ["cosine", new CosineMetric(gpu), true],
    ["affinity over positions", new AffinityMetric(gpu)],
    ["affinity over channels", new AffinityMetric(gpu, undefined, 0)],
    ...(["biased", "debiased"] as const).flatMap((estimator) =>
      (["images", "positions", "all-positions"] as const).map((samples): [string, SimilarityMetric] => [
        `${estimator} cka over ${samples}`,
        new CkaMetric(gpu, estimator, samples),
      ])
    ),
  ];
}

gpuTest("scores of features that are not finite are NaN, and no others", async (gpu) => {
  const teacher = featureMaps(shape, 1), candidate = featureMaps(shape, 2);
  const zeros = changed(teacher, () => 0);
  for (const [name, metric, vectors] of metrics(gpu)) {
    const given = ({ values, shape }: HostTensor) => ({
      values,
      shape: vectors ? [shape[0], values.length / shape[0]] : shape,
    });
    const scores = (teacher: HostTensor, ...candidates: HostTensor[]) =>
      similarities(gpu, metric, [given(teacher)], candidates.map((candidate) => [given(candidate)]));
    for (const value of [NaN, Infinity, -Infinity, 1e30]) {
      for (const place of [50, teacher.values.length - 1]) {
        const what = `${name}: ${value} at ${place}`;
        const broken = (maps: Maps) => changed(maps, (old, at) => at === place ? value : old);
        const [first, second, neighbour] = await scores(teacher, broken(candidate), broken(zeros), candidate);
        assertEquals([first, second], [NaN, NaN], `${what} of the candidate`);
        assert(Number.isFinite(neighbour), `${what}: the next score is ${neighbour}`);
        assertEquals(await scores(zeros, broken(candidate)), [NaN], `${what}, a teacher of zeros`);
        assertEquals(
          await scores(broken(teacher), candidate, zeros, broken(teacher)),
          [NaN, NaN, NaN],
          `${what} of the teacher`,
        );
      }
    }
  }
});
