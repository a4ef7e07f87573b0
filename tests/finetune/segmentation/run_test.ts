import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { DenseViews } from "../../../src/data/dense/dense_views.ts";
import { wholePlacement } from "../../../src/data/dense/placement.ts";
import type { SegmentationSource } from "../../../src/data/dense/target.ts";
import { ConfigurationError, DataError, TrainingError } from "../../../src/errors.ts";
import { PixelConfusion } from "../../../src/evaluate/segmentation.ts";
import { evaluateSegmentation } from "../../../src/finetune/segmentation/evaluate.ts";
import { segmentationHead } from "../../../src/finetune/segmentation/network.ts";
import { trainSegmentation } from "../../../src/finetune/segmentation/run.ts";
import { HeadedNetwork } from "../../../src/nn/headed_network.ts";
import { bilinear } from "../../../src/tensor/ops/bilinear.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { readSafetensors } from "../../../src/store/safetensors.ts";
import { basicSpace } from "../../extract/encoders.ts";
import { gpuTest } from "../../helpers.ts";
import {
  drawn,
  remembering,
  smallConfig,
  smallModel,
  timeless,
  type Told,
  trainWhole,
  withSegmentation,
} from "./small_segmentation.ts";

gpuTest("two images are learnt by heart in twenty iterations", async (gpu) => {
  const train = await drawn(2);
  // The same two, as others.
  const test = { ...train, name: "the same" };
  await withSegmentation(gpu, {
    optimizer: { learningRate: 0.05, schedule: "constant", weightDecay: 0 },
    training: { epochs: 20, evaluateEvery: 0 },
    segmentation: { crop: [32, 32], augmentScale: [1, 1], flip: 0, outputStride: 8 },
  }, async (request) => {
    const { told, metrics } = await trainWhole(gpu, { ...request, train, test });
    const losses = told.lines.flatMap((line) => "loss" in line ? [line.loss] : []);
    assertEquals(losses.length, 20);
    assert(losses[19] < 0.5 * losses[0], `from ${losses[0]} to ${losses[19]}`);
    assert(metrics.pixelAccuracy! > 0.8, `pixels right: ${metrics.pixelAccuracy}`);
  });
  train.release();
});

gpuTest("interrupted and resumed equals uninterrupted, bit for bit, evaluations included", async (gpu) => {
  await withSegmentation(gpu, {}, async (request) => {
    const expected = await trainWhole(gpu, request);
    assertEquals(expected.steps, 6);
    assertEquals(expected.told.lines.map(({ step }) => step), [0, 1, 2, 3, 3, 4, 5, 6, 6]);
    assertEquals(
      expected.told.predictions.size,
      4,
      "predictions come once, of the trained network",
    );
    await Deno.remove(request.kept.path);

    const told: Told = { lines: [], predictions: new Map() };
    const stop = new Error("stop");
    const interrupted = async (when: (controller: AbortController) => Parameters<typeof remembering>[2]) => {
      const controller = new AbortController();
      const hooks = remembering(told, controller.signal, when(controller));
      assertEquals(await trainSegmentation(gpu, request, hooks), undefined);
      return Number((await readSafetensors(request.kept.path)).metadata.step);
    };
    const atStep = (step: number) =>
      interrupted((controller) => ({ onPart: (done) => void (done >= step && controller.abort(stop)) }));
    // In a step, and in the evaluations of the middle and of the end.
    const first = await atStep(1);
    assert(first >= 1 && first < 3, `stopped at ${first}`);
    const inEvaluation = (step: number) =>
      interrupted((controller) => ({
        append: (...lines) => {
          told.lines.push(...lines);
          if (lines.some((line) => "loss" in line && line.step === step)) controller.abort(stop);
          return Promise.resolve();
        },
      }));
    assertEquals([await inEvaluation(3), await inEvaluation(6)], [3, 6]);
    const resumed = await trainWhole(gpu, request, told);
    assertEquals(timeless(resumed.told.lines), timeless(expected.told.lines));
    assertEquals(resumed.bits, expected.bits);
    assertEquals(resumed.metrics, expected.metrics);
    assertEquals(resumed.told.predictions, expected.told.predictions);
  });
});

gpuTest(
  "the same seed gives the same bits, another one others; what is kept of others is refused",
  async (gpu) => {
    await withSegmentation(gpu, { training: { epochs: 1 } }, async (request) => {
      const { kept } = request;
      const at = (name: string) => ({ ...kept, path: kept.path.replace("last", name) });
      const once = await trainWhole(gpu, request);
      assertEquals((await trainWhole(gpu, { ...request, kept: at("again") })).bits, once.bits);
      const other = { ...request, config: smallConfig({ training: { epochs: 1, seed: 2 } }) };
      assertNotEquals((await trainWhole(gpu, { ...other, kept: at("seed") })).bits, once.bits);
      await assertRejects(
        () => trainWhole(gpu, { ...request, kept: { ...kept, about: "another" } }),
        DataError,
        "other images, settings or weights",
      );
    });
  },
);

gpuTest("the head's rate is a factor of the network's", async (gpu) => {
  const slow = { learningRate: 1e-12, headFactor: 1e6, weightDecay: 0 };
  await withSegmentation(
    gpu,
    { training: { epochs: 1, evaluateEvery: 0 }, optimizer: slow },
    async (request) => {
      const { bits } = await trainWhole(gpu, request);
      const config = smallConfig({
        training: { epochs: 1, evaluateEvery: 0 },
        optimizer: { ...slow, headFactor: 1 },
      });
      const kept = { ...request.kept, about: "factor 1", path: `${request.kept.path}.2.safetensors` };
      const plain = await trainWhole(gpu, { ...request, config, kept });
      const convolution = request.model.weights.get("conv1.weight")!.data as Float32Array;
      assertEquals(bits.get("conv1.weight"), [...new Uint32Array(convolution.slice().buffer)]);
      for (const name of ["classifier.0.weight", "classifier.4.bias", "aux_classifier.4.weight"]) {
        assertNotEquals(bits.get(name), plain.bits.get(name), name);
      }
    },
  );
});

gpuTest("divergence is told with what to do, and leaves nothing that could be gone on with", async (gpu) => {
  const optimizer = { learningRate: 1000, headFactor: 1e6, momentum: 0.99 };
  await withSegmentation(gpu, { optimizer, training: { epochs: 9, evaluateEvery: 0 } }, async (request) => {
    const error = await assertRejects(() => trainWhole(gpu, request), TrainingError, "diverged by step");
    assert(error.message.includes("--set optimizer.learningRate=200"), error.message);
    await assertRejects(() => Deno.lstat(request.kept.path), Deno.errors.NotFound);
  });
});

gpuTest("sets of other classes, and strides that a network cannot have, are refused", async (gpu) => {
  await withSegmentation(gpu, {}, async (request) => {
    const classes = [...request.test.classes].reverse();
    await assertRejects(
      () => trainWhole(gpu, { ...request, test: { ...request.test, name: "others", classes } }),
      DataError,
      "others has the classes",
    );
    const model = await smallModel(gpu, basicSpace);
    const error = await assertRejects(
      () =>
        trainWhole(gpu, { ...request, model, config: smallConfig({ segmentation: { outputStride: 32 } }) }),
      ConfigurationError,
      "segmentation.outputStride is 32, but this network has 4",
    );
    assert(error.message.includes("Allowed: 4"), error.message);
  });
});

gpuTest("images that cannot be read are left out, in training and in tests", async (gpu) => {
  await withSegmentation(gpu, { training: { epochs: 1 } }, async (request) => {
    /** Fails on image 1 whenever it is loaded, as a file that breaks after it was listed. */
    const broken = (source: SegmentationSource): SegmentationSource => ({
      ...source,
      images: {
        ...source.images,
        load: async (indices, use) =>
          (await source.images.load(indices, use)).map((image, at) => indices[at] === 1 ? undefined : image),
      },
    });
    const whole = await trainWhole(gpu, request);
    const { told, metrics } = await trainWhole(gpu, {
      ...request,
      train: broken(request.train),
      test: broken(request.test),
      kept: { ...request.kept, path: `${request.kept.path}.2.safetensors` },
    });
    assertEquals([...told.predictions.keys()], [0, 2, 3]);
    assertEquals(metrics.pixels, whole.metrics.pixels * 3 / 4);
  });
});

gpuTest(
  "an evaluation counts the argmax of logits at the label's resolution, over the whole set",
  async (gpu) => {
    const { network, input, weights } = await smallModel(gpu);
    const test = await drawn(3);
    // Labels with pixels that do not count.
    const source: SegmentationSource = {
      ...test,
      target: async (index) => {
        const target = await test.target(index);
        return { ...target, values: target.values.map((value, at) => at % 5 === index ? 255 : value) };
      },
    };
    const classes = test.classes.length;
    const { segmentation } = smallConfig();
    using headed = new HeadedNetwork(
      gpu,
      network,
      segmentationHead(network, "fcn", classes, segmentation),
      false,
    );
    await headed.initialise(
      1,
      new Map([...weights].map(([name, { data }]) => [name, data as Float32Array<ArrayBuffer>])),
    );
    using views = await DenseViews.open(gpu, source, { ...input, antialias: true });
    const scale = 1.3, side = Math.round(32 * scale);
    const expected = new PixelConfusion(classes);
    for (let index = 0; index < 3; index++) {
      const batch = await views.load(Uint32Array.of(index));
      const size = { height: side, width: side };
      using images = views.show(batch, [{
        placement: wholePlacement({ height: 32, width: 32 }, size),
        colours: [],
      }], size);
      using tape = new Tape(gpu, false);
      const [logits] = headed.run(headed.pass({ tape, training: false, batchnormGroups: 1 }), images);
      const full = await bilinear(tape, logits, [32, 32]).read();
      const found = Uint8Array.from({ length: 1024 }, (_, pixel) => {
        const own = Array.from({ length: classes }, (_, one) => full[one * 1024 + pixel]);
        return own.indexOf(Math.max(...own));
      });
      expected.add((await source.target(index)).values, found);
    }
    const { signal } = new AbortController();
    const found = await evaluateSegmentation(headed, views, Uint32Array.of(0, 1, 2), classes, scale, signal);
    assertEquals(found.counts, expected.counts);
    assertEquals(found.ignored, expected.ignored);
    assert(found.metrics().perClass.filter(({ predicted }) => predicted > 0).length > 1);
    test.release();
  },
);
