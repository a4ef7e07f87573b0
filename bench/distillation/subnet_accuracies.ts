import type { Gpu } from "../../src/gpu/device.ts";
import { openCheckpoint } from "../../src/pretrain/checkpoint.ts";
import { openRunData } from "../../src/pretrain/run_data.ts";
import { KnnWatch, share } from "../../src/pretrain/watch.ts";
import { readDataRecord } from "../../src/store/data_record.ts";
import { RunFolder } from "../../src/store/run_folder.ts";
import { threeSizes } from "../three_sizes.ts";

/** kNN of one subnet. */
export interface SubnetAccuracy {
  readonly arch: string;
  /** 0 to 1. */
  readonly accuracy: number;
}

/** Classifies the images that a run held out by its smallest, its middle (by MACs) and its largest subnet. */
export async function subnetAccuracies(gpu: Gpu, run: string): Promise<SubnetAccuracy[]> {
  const folder = await RunFolder.open(run);
  using state = await openCheckpoint(gpu, folder.lastCheckpointPath);
  const { config, encoder: { network } } = state;
  const earlier = { record: await readDataRecord(run), acceptChanges: false };
  const data = await openRunData(gpu, config, {}, earlier);
  try {
    if (!data.knn) throw new Error(`${run}: its images have no labels, or none were held out.`);
    const watch = new KnnWatch(state, config, data.knn);
    const found: SubnetAccuracy[] = [];
    for (const architecture of threeSizes(network, config.data.imageSize)) {
      found.push({ arch: architecture.id, accuracy: share(await watch.rightOf(architecture)) });
    }
    return found;
  } finally {
    data.release();
  }
}
