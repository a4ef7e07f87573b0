/**
 * What sorting the channels of given weights is worth before any training: kNN of subnets that are cut out of a network with
 * its channels by importance, and as they stood: `deno task bench:init CONFIG WEIGHTS`. The configuration's space has the
 * weights' network as its largest architecture, and widths that can be chosen; its images have labels.
 */
import { loadSettings } from "../src/config/load.ts";
import { macs } from "../src/elastic/costs.ts";
import { openGpu } from "../src/host/adapter.ts";
import { fitSettings } from "../src/pretrain/fit/fit.ts";
import { lookAtImages } from "../src/pretrain/fit/look.ts";
import { readInitialWeights } from "../src/pretrain/init/initial_weights.ts";
import { describeSource } from "../src/pretrain/init/source.ts";
import { openRunData } from "../src/pretrain/run_data.ts";
import { PretrainState } from "../src/pretrain/state.ts";
import { KnnWatch, share } from "../src/pretrain/watch.ts";
import { openWeightsFile } from "../src/store/open_weights.ts";

const [configPath, path] = Deno.args;
if (path === undefined) {
  console.error("usage: deno task bench:init CONFIG WEIGHTS");
  Deno.exit(2);
}
const settings = await loadSettings(configPath, [
  { path: "initialisation.weights", value: path, flag: "WEIGHTS" },
]);
using gpu = await openGpu();
const { config } = await fitSettings(gpu, settings, await lookAtImages(settings, 1, {}));
const sorted = (await readInitialWeights(config))!;
const stored = new Map<string, Float32Array<ArrayBuffer>>();
{
  using file = await openWeightsFile(path);
  const { network, prefix } = describeSource(file, config.space.strides);
  for (const [name, { length }] of sorted.values) {
    const values = await file.read(prefix + name);
    if (values.length !== length) {
      console.error(`the space is smaller than ${network.space.max.id}, or projects other shortcuts.`);
      Deno.exit(2);
    }
    stored.set(name, values);
  }
}
const data = await openRunData(gpu, config, {});
if (!data.knn) {
  console.error("the images have no labels, or none are held out.");
  Deno.exit(2);
}
const accuracies = new Map<string, number[]>();
let costs: [id: string, cost: number][] = [];
for (const values of [sorted.values, stored]) {
  using state = new PretrainState(gpu, config);
  await state.initialise({ ...sorted, values });
  const watch = new KnnWatch(state, config, data.knn);
  const { space, encoder: { network } } = state;
  costs = [...space.enumerate()].map((architecture) =>
    [architecture.id, macs(network, architecture, config.data.imageSize)] as [string, number]
  ).sort(([, one], [, other]) => one - other);
  for (const [id] of costs) {
    const accuracy = 100 * share(await watch.rightOf(space.resolve(id)));
    accuracies.set(id, [...accuracies.get(id) ?? [], accuracy]);
  }
}
data.release();
console.log("architecture, M MACs, kNN sorted, kNN as it stood");
for (const [id, cost] of costs) {
  const [one, other] = accuracies.get(id)!;
  console.log(`${id}, ${(cost / 1e6).toFixed(2)}, ${one.toFixed(1)} %, ${other.toFixed(1)} %`);
}
const mean = (index: number) =>
  costs.reduce((sum, [id]) => sum + accuracies.get(id)![index], 0) / costs.length;
console.log(`mean of ${costs.length}: ${mean(0).toFixed(1)} %, ${mean(1).toFixed(1)} %`);
