/**
 * Subnets cut out of random supernets give the same feature maps in Scion, torchvision and ONNX Runtime:
 * `deno task interop`. Not part of `deno task test`, which needs neither Python nor the network.
 */
import { assert, assertEquals } from "@std/assert";
import { extractSubnet } from "../../src/extract/extract.ts";
import type { SpaceDefinition } from "../../src/elastic/search_space.ts";
import { basicSpace, bottleneckSpace, evaluateFeatures, livelyEncoder } from "../extract/encoders.ts";
import { gpuTest } from "../helpers.ts";
import { checkModel, formatReport, tolerance } from "./check_model.ts";

/** Around ResNet-50, which it holds as an inner architecture. */
const resnet50Space: SpaceDefinition = {
  block: "bottleneck",
  stem: { kind: "7x7", widths: [48, 64] },
  widths: [[48, 64, 80], [96, 128, 160], [256, 288], [512]],
  depths: [[2, 3, 4], [2, 4, 5], [5, 7], [2, 3]],
  strides: [1, 2, 2, 2],
  named: { r50: "64-64.128.256.512-3.4.6.3" },
};

interface Case {
  readonly what: string;
  readonly definition: SpaceDefinition;
  readonly architecture: string;
  /** Image side, in pixels. */
  readonly side: number;
  readonly resnet50?: true;
}

const cases: readonly Case[] = [
  { what: "ResNet-50", definition: resnet50Space, architecture: "r50", side: 64, resnet50: true },
  { what: "smallest, bottleneck blocks", definition: bottleneckSpace, architecture: "min", side: 64 },
  { what: "largest, bottleneck blocks", definition: bottleneckSpace, architecture: "max", side: 50 },
  { what: "smallest, basic blocks", definition: basicSpace, architecture: "min", side: 32 },
  { what: "largest, basic blocks", definition: basicSpace, architecture: "max", side: 32 },
  {
    what: "basic blocks that keep a projection",
    definition: basicSpace,
    architecture: "8-8.6.16-1.2.1",
    side: 31,
  },
];

for (const { what, definition, architecture, side, resnet50 } of cases) {
  gpuTest(`${what} (${architecture}), in torchvision and ONNX Runtime`, async (gpu) => {
    const encoder = livelyEncoder(gpu, definition);
    const chosen = encoder.network.space.resolve(architecture);
    const input = {
      imageSize: side,
      mean: [0.485, 0.456, 0.406] as const,
      std: [0.229, 0.224, 0.225] as const,
    };
    const model = await extractSubnet(encoder, chosen, input, undefined);
    const report = await checkModel(model, side, (images) => evaluateFeatures(encoder, chosen, images));
    console.log(formatReport(report));
    for (const { peer, batch, name, error } of report.comparisons) {
      assert(error <= tolerance, `${peer}, batch ${batch}, ${name}: relative error ${error}`);
    }
    if (report.resnet50 !== undefined) assertEquals(report.resnet50, resnet50 ?? false);
  });
}
