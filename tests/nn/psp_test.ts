/** PSPNet's head over maps of odd sizes: shapes, parameters, and a gradient that reaches all of it. */
import { assert, assertEquals } from "@std/assert";
import { traceHead } from "../../src/elastic/head.ts";
import { headWeights, initialiseHeads, runHead } from "../../src/nn/heads.ts";
import { pspHead } from "../../src/nn/segmentation/psp.ts";
import { Statistics, Weights } from "../../src/nn/weights.ts";
import { pixelCrossEntropy } from "../../src/tensor/ops/pixel_cross_entropy.ts";
import { add } from "../../src/tensor/ops/elementwise.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest, randomTensor } from "../helpers.ts";

gpuTest(
  "PSPNet's head pools, resizes back, joins and classifies; every parameter has a gradient",
  async (gpu) => {
    const { taps, head } = pspHead({
      ...{ classes: 3, channels: [8, 12], width: null, auxiliary: true },
      dropout: { probability: 0.1, channels: false },
    });
    assertEquals(taps, ["c4", "c5"]);
    const shapes = [[2, 8, 5, 7], [2, 12, 5, 7]];
    const trace = traceHead(head, shapes);
    assertEquals(trace.outputs, [[2, 3, 5, 7], [2, 3, 5, 7]]);
    const found = headWeights([trace]);
    // A quarter of 12 channels for each of four levels, joined with the map itself.
    assertEquals(found.shapes.parameters.get("classifier.bottleneck.conv.weight"), [3, 12 + 4 * 3, 3, 3]);
    assertEquals(found.shapes.parameters.get("classifier.psp_modules.3.1.conv.weight"), [3, 12, 1, 1]);
    using weights = new Weights(gpu, found.shapes, true);
    using statistics = new Statistics(gpu, found.shapes);
    statistics.reset();
    await initialiseHeads(weights, found.starts, 1);
    using before = randomTensor(gpu, shapes[0], 1);
    using last = randomTensor(gpu, shapes[1], 2);
    using labels = Tensor.from(gpu, Uint32Array.from({ length: 2 * 9 * 11 }, (_, at) => at % 3), [2, 9, 11]);
    using tape = new Tape(gpu, true);
    const dropout = { seed: 1, step: 0 };
    const pass = { tape, weights, statistics, training: true, batchnormGroups: 1, dropout };
    const [logits, side] = runHead(pass, head, [before, last]);
    tape.backward(add(tape, pixelCrossEntropy(tape, logits, labels), pixelCrossEntropy(tape, side, labels)));
    for (const [name, gradient] of weights.gradients!.entries()) {
      const values = await gradient.read();
      assert(values.every(Number.isFinite), name);
      assert(values.some((value) => value !== 0), `${name} has no gradient`);
    }
  },
);
