/**
 * kNN of the smallest, the middle (by MACs) and the largest subnet of pretrained runs, on the images that each run held
 * out: `deno task bench:subnets RUN...`
 */
import { macs } from "../src/elastic/costs.ts";
import { openGpu } from "../src/host/adapter.ts";
import { openCheckpoint } from "../src/pretrain/checkpoint.ts";
import { openRunData } from "../src/pretrain/run_data.ts";
import { KnnWatch, share } from "../src/pretrain/watch.ts";
import { readDataRecord } from "../src/store/data_record.ts";
import { RunFolder } from "../src/store/run_folder.ts";

if (Deno.args.length === 0) {
  console.error("usage: deno task bench:subnets RUN...");
  Deno.exit(2);
}
using gpu = await openGpu();
for (const run of Deno.args) {
  const folder = await RunFolder.open(run);
  using state = await openCheckpoint(gpu, folder.lastCheckpointPath);
  const { config, space, encoder: { network } } = state;
  const earlier = { record: await readDataRecord(run), acceptChanges: false };
  const data = await openRunData(gpu, config, {}, earlier);
  if (!data.knn) {
    console.error(`${run}: its images have no labels, or none were held out.`);
    Deno.exit(2);
  }
  const watch = new KnnWatch(state, config, data.knn);
  const cost = (architecture: typeof space.max) => macs(network, architecture, config.data.imageSize);
  const sorted = [...space.enumerate()].sort((a, b) => cost(a) - cost(b));
  const shown = { smallest: space.min, middle: sorted[sorted.length >> 1], largest: space.max };
  const parts: string[] = [];
  for (const [name, architecture] of Object.entries(shown)) {
    parts.push(`${name} ${architecture.id} ${(100 * share(await watch.rightOf(architecture))).toFixed(1)} %`);
  }
  console.log(`${run}: ${parts.join(", ")}`);
  data.release();
}
