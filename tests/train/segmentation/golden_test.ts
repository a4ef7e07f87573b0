/** FCN over a dilated ResNet, from images to losses and gradients, against torchvision's with the same weights. */
import { assertEquals } from "@std/assert";
import { SearchSpace } from "../../../src/elastic/search_space.ts";
import { parseFineTuneConfig } from "../../../src/finetune/config.ts";
import { segmentationHead } from "../../../src/finetune/segmentation/network.ts";
import { withOutputStride } from "../../../src/nn/output_stride.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { ElasticResNet } from "../../../src/nn/resnet.ts";
import { bilinear } from "../../../src/tensor/ops/bilinear.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { Segmentation } from "../../../src/train/segmentation/segmentation.ts";
import { assertClose, type GoldenCase, goldenCases, gpuTest } from "../../helpers.ts";

/** torchvision's name of a parameter or statistic. */
const theirs = (name: string) => /^(aux_)?classifier\./.test(name) ? name : `backbone.${name}`;

async function goldenSegmentation(gpu: Gpu, one: GoldenCase): Promise<Segmentation> {
  const { classes, stem, widths, depths, strides, outputStride, auxiliary, ignore } = one.parameters;
  const lists = (values: number[]) => values.map((value) => [value]);
  const space = new SearchSpace({
    ...{ block: "bottleneck", stem: { kind: "7x7", widths: [stem] }, strides, named: {} },
    ...{ widths: lists(widths), depths: lists(depths) },
  });
  const network = withOutputStride(new ElasticResNet(space), outputStride);
  const { segmentation } = parseFineTuneConfig({}, "test");
  const head = segmentationHead(network, "fcn", classes, {
    ...segmentation,
    auxiliaryWeight: auxiliary,
    dropout: 0,
  });
  const objective = new Segmentation(gpu, network, head, {
    ...{ auxiliaryWeight: auxiliary, ignore, mean: "valid", seed: 1 },
  });
  const { weights, statistics } = objective.encoder;
  const names = [...weights.values.entries(), ...statistics.arena.entries()].map(([name]) => name);
  await objective.initialise(new Map(names.map((name) => [name, one.get(`weight.${theirs(name)}`).data])));
  return objective;
}

for (const stride of [8, 16]) {
  gpuTest(`FCN of output stride ${stride}: logits, losses and gradients are torchvision's`, async (gpu) => {
    const one = (await goldenCases("fcn")).find(({ parameters }) => parameters.outputStride === stride)!;
    const { forward, backward } = one.tolerance;
    using objective = await goldenSegmentation(gpu, one);
    const { encoder } = objective;
    const { data, shape } = one.get("images");
    using images = Tensor.from(gpu, data, shape);
    {
      using tape = new Tape(gpu, false);
      const outputs = encoder.run(
        encoder.pass({ tape, training: false, batchnormGroups: 1 }),
        images,
      );
      for (const [at, name] of ["logits", "auxiliary"].entries()) {
        assertEquals(outputs[at].shape, one.get(name).shape);
        assertClose(await outputs[at].read(), one.get(name).data, forward, name);
      }
      const full = bilinear(tape, outputs[0], shape.slice(2) as [number, number]);
      assertClose(await full.read(), one.get("full").data, forward, "interpolated logits");
    }

    const classes = one.get("labels");
    using labels = Tensor.from(gpu, Uint32Array.from(classes.data), classes.shape);
    using losses = Tensor.zeros(gpu, [1]);
    using terms = Tensor.zeros(gpu, [2, 1]);
    encoder.weights.gradients!.clear();
    const architectures = [encoder.network.space.max];
    await objective.record({ views: [{ images }], architectures, losses, terms, labels });
    assertClose(await losses.read(), one.get("loss").data, forward, "loss");
    const [main, side] = await terms.read();
    assertClose([main, side], [one.get("main").data[0], one.get("side").data[0]], forward, "terms");
    for (const [name, gradient] of encoder.weights.gradients!.entries()) {
      assertClose(
        await gradient.read(),
        one.get(`grad.${theirs(name)}`).data,
        backward,
        `gradient of ${name}`,
      );
    }
    for (const [name, statistic] of encoder.statistics.arena.entries()) {
      assertClose(await statistic.read(), one.get(`after.${theirs(name)}`).data, forward, name);
    }
  });
}
