/**
 * Similarity metrics on feature maps of a ResNet-50 at 224 x 224, batch 32: one candidate against a prepared teacher.
 *
 *     deno bench --allow-env --allow-read --allow-ffi bench/similarity_bench.ts
 *
 * The rates of the kernels are printed first, from device timestamps; an iteration is one comparison, waited for, and a
 * wait alone takes about 11 ms under Deno.
 */
import { openGpu } from "../src/host/adapter.ts";
import { purpose, Random } from "../src/random.ts";
import { similarityMetric, type SimilarityOptions } from "../src/search/similarity/options.ts";
import { ScoreTable } from "../src/search/similarity/score_table.ts";
import { Tensor } from "../src/tensor/tensor.ts";
import { elements } from "../src/shape.ts";

const batch = 32;
const stages = {
  c2: [batch, 256, 56, 56],
  c3: [batch, 512, 28, 28],
  c4: [batch, 1024, 14, 14],
  c5: [batch, 2048, 7, 7],
  projection: [batch, 128],
};
const cases: [options: SimilarityOptions, stages: (keyof typeof stages)[]][] = [
  [{ metric: "cosine" }, ["projection"]],
  [{ metric: "affinity", positions: 196 }, ["c2", "c3", "c4", "c5"]],
  [{ metric: "cka" }, ["c2", "c5"]],
  [{ metric: "cka", samples: "positions", positions: 196 }, ["c4", "c5"]],
];

const gpu = await openGpu();

/** Maps as after a ReLU, from one row of random numbers: the values do not change the time. */
function features(shape: readonly number[]): Tensor {
  const random = new Random(1, purpose.test);
  const row = Float32Array.from({ length: 997 }, () => Math.max(0, random.normal()));
  return Tensor.from(gpu, Float32Array.from({ length: elements(shape) }, (_, at) => row[at % 997]), shape);
}

for (const [options, names] of cases) {
  for (const stage of names) {
    const { metric: group, ...settings } = options;
    const details = Object.values(settings).join(" ");
    const name = `${group}${details && ` (${details})`} ${stage} ${stages[stage].join("x")}`;
    const metric = similarityMetric(gpu, options);
    const table = new ScoreTable(gpu, metric, 1);
    const candidate = features(stages[stage]);
    const teacher = metric.prepareTeacher(candidate);
    const compare = async () => {
      teacher.accumulate(candidate, table, 0);
      await gpu.finish();
    };
    await compare();
    if (gpu.facts.timestamps) {
      const profiler = gpu.profile();
      await compare();
      const rates = (await profiler.take()).map(({ kernel, seconds, flops, bytes }) => {
        const rate = flops > 0
          ? `${(flops / seconds / 1e9).toFixed(1)} GFLOP/s`
          : `${(bytes / seconds / 1e9).toFixed(1)} GB/s`;
        return `${kernel} ${(1e3 * seconds).toFixed(2)} ms ${rate}`;
      });
      gpu.stream.profiler = undefined;
      profiler.destroy();
      console.error(`${name}: ${rates.join(", ")}`);
    }
    Deno.bench({ name, group, n: 5, warmup: 1, fn: compare });
  }
}
