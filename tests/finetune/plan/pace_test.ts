/** A plan's arithmetic: of a step it is that of the convolutions, three times a forward pass but for the images' gradient. */
import { assert } from "@std/assert";
import { macs } from "../../../src/elastic/costs.ts";
import { traceHead } from "../../../src/elastic/head.ts";
import { tapShapes } from "../../../src/elastic/network.ts";
import { traceMacs } from "../../../src/elastic/unit.ts";
import { segmentationHead } from "../../../src/finetune/segmentation/network.ts";
import { withOutputStride } from "../../../src/nn/output_stride.ts";
import { planSegmentation } from "../../../src/finetune/segmentation/run.ts";
import { gpuTest } from "../../helpers.ts";
import { drawn, smallConfig, smallModel } from "../segmentation/small_segmentation.ts";

gpuTest("a step's floating-point operations are those of its layers, forwards and backwards", async (gpu) => {
  const side = 64, batch = 2;
  const config = smallConfig({ segmentation: { crop: [side, side], outputStride: 8 } });
  const model = await smallModel(gpu);
  const [train, test] = [await drawn(4), await drawn(2, 2)];
  const request = { model, head: "fcn", config, train, test } as const;
  const { flopsPerStep } = await planSegmentation(gpu, request, { onStep() {} });
  train.release();
  test.release();
  const network = withOutputStride(model.network, 8);
  const { head, taps } = segmentationHead(network, "fcn", train.classes.length, config.segmentation);
  const shapes = tapShapes(network, network.space.max, side);
  const ofHead = traceMacs(traceHead(head, taps.map((tap) => shapes.get(tap)!)));
  const layers = 6 * batch * (macs(network, network.space.max, side) + ofHead);
  // Both classifiers' losses interpolate logits to the images' size, and back.
  const losses = 2 * (28 + 60) * batch * side ** 2 * train.classes.length;
  const share = (flopsPerStep - losses) / layers;
  // The images need no gradient.
  assert(share > 0.75 && share < 1, `${share}`);
});
