/**
 * FCN over a dilated ResNet, from images to losses and gradients, against torchvision's with the same weights, and with
 * mmsegmentation's form of the head against one of torch.nn.
 */
import { assertEquals } from "@std/assert";
import { bilinear } from "../../../src/tensor/ops/bilinear.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, goldenCases, gpuTest } from "../../helpers.ts";
import { goldenSegmentation, torchvisionName } from "./golden_fcn.ts";

const cases = [
  ["FCN of output stride 8", "fcn_stride_8"],
  ["FCN of output stride 16", "fcn_stride_16"],
  ["FCN with two convolutions, joined with their input", "fcn_joined"],
];

for (const [what, name] of cases) {
  gpuTest(`${what}: logits, losses and gradients are PyTorch's`, async (gpu) => {
    const one = (await goldenCases("fcn")).find((golden) => golden.name === name)!;
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
        one.get(`grad.${torchvisionName(name)}`).data,
        backward,
        `gradient of ${name}`,
      );
    }
    for (const [name, statistic] of encoder.statistics.arena.entries()) {
      assertClose(await statistic.read(), one.get(`after.${torchvisionName(name)}`).data, forward, name);
    }
  });
}
