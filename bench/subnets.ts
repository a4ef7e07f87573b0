/**
 * kNN of the smallest, the middle (by MACs) and the largest subnet of pretrained runs, on the images that each run held
 * out: `deno task bench:subnets RUN...`
 */
import { macs } from "../src/elastic/costs.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { openGpu } from "../src/host/adapter.ts";
import { openCheckpoint } from "../src/pretrain/checkpoint.ts";
import { openRunData } from "../src/pretrain/run_data.ts";
import { KnnWatch, share } from "../src/pretrain/watch.ts";
import { readDataRecord } from "../src/store/data_record.ts";
import { RunFolder } from "../src/store/run_folder.ts";

/** kNN of one subnet. */
export interface SubnetAccuracy {
  readonly name: "smallest" | "middle" | "largest";
  readonly arch: string;
  /** 0 to 1. */
  readonly accuracy: number;
}

/** Classifies the images that a run held out by three of its subnets. */
export async function subnetAccuracies(gpu: Gpu, run: string): Promise<SubnetAccuracy[]> {
  const folder = await RunFolder.open(run);
  using state = await openCheckpoint(gpu, folder.lastCheckpointPath);
  const { config, space, encoder: { network } } = state;
  const earlier = { record: await readDataRecord(run), acceptChanges: false };
  const data = await openRunData(gpu, config, {}, earlier);
  try {
    if (!data.knn) throw new Error(`${run}: its images have no labels, or none were held out.`);
    const watch = new KnnWatch(state, config, data.knn);
    const cost = (architecture: typeof space.max) => macs(network, architecture, config.data.imageSize);
    const sorted = [...space.enumerate()].sort((a, b) => cost(a) - cost(b));
    const shown = { smallest: space.min, middle: sorted[sorted.length >> 1], largest: space.max } as const;
    const found: SubnetAccuracy[] = [];
    for (const name of ["smallest", "middle", "largest"] as const) {
      const architecture = shown[name];
      found.push({ name, arch: architecture.id, accuracy: share(await watch.rightOf(architecture)) });
    }
    return found;
  } finally {
    data.release();
  }
}

if (import.meta.main) {
  if (Deno.args.length === 0) {
    console.error("usage: deno task bench:subnets RUN...");
    Deno.exit(2);
  }
  using gpu = await openGpu();
  for (const run of Deno.args) {
    const parts = (await subnetAccuracies(gpu, run)).map(({ name, arch, accuracy }) =>
      `${name} ${arch} ${(100 * accuracy).toFixed(1)} %`
    );
    console.log(`${run}: ${parts.join(", ")}`);
  }
}
