/** The narrow FCNs whose values torchvision computed. */
import { SearchSpace } from "../../../src/elastic/search_space.ts";
import { parseFineTuneConfig } from "../../../src/finetune/config.ts";
import { segmentationHead } from "../../../src/finetune/segmentation/network.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { withOutputStride } from "../../../src/nn/output_stride.ts";
import { ElasticResNet } from "../../../src/nn/resnet.ts";
import { Segmentation } from "../../../src/train/segmentation/segmentation.ts";
import type { GoldenCase } from "../../helpers.ts";

/** torchvision's name of a parameter or statistic. */
export const torchvisionName = (name: string): string =>
  /^(aux_)?classifier\./.test(name) ? name : `backbone.${name}`;

/** The narrow ResNet of bottleneck blocks that a case describes. */
export function goldenResNet({ parameters: { stem, widths, depths, strides } }: GoldenCase): ElasticResNet {
  const lists = (values: number[]) => values.map((value) => [value]);
  return new ElasticResNet(
    new SearchSpace({
      ...{ block: "bottleneck", stem: { kind: "7x7", widths: [stem] }, strides, named: {} },
      ...{ widths: lists(widths), depths: lists(depths) },
    }),
  );
}

export async function goldenSegmentation(gpu: Gpu, one: GoldenCase): Promise<Segmentation> {
  const { classes, outputStride, auxiliary, ignore, head: changes } = one.parameters;
  const network = withOutputStride(goldenResNet(one), outputStride);
  const { segmentation } = parseFineTuneConfig({}, "test");
  const head = segmentationHead(network, "fcn", classes, {
    ...segmentation,
    ...changes,
    auxiliaryWeight: auxiliary,
    dropout: 0,
  });
  const objective = new Segmentation(gpu, network, head, {
    ...{ auxiliaryWeight: auxiliary, ignore, mean: "valid", seed: 1 },
  });
  const { weights, statistics } = objective.encoder;
  const names = [...weights.values.entries(), ...statistics.arena.entries()].map(([name]) => name);
  await objective.initialise(
    new Map(names.map((name) => [name, one.get(`weight.${torchvisionName(name)}`).data])),
  );
  return objective;
}
