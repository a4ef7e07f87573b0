/** A whole Mask R-CNN, images to losses to weights and back to masks, learns two images by heart. */
import { assert } from "@std/assert";
import { Arena } from "../../../src/nn/arena.ts";
import { Detector } from "../../../src/nn/detection/detector.ts";
import { boxIou } from "../../../src/nn/detection/boxes.ts";
import { detectObjects } from "../../../src/nn/detection/infer.ts";
import { detectorLosses, type TrainingObjects } from "../../../src/nn/detection/losses.ts";
import { maskPixels, pasteMask } from "../../../src/nn/detection/paste.ts";
import { maskRcnnSettings } from "../../../src/nn/detection/settings.ts";
import { Encoder } from "../../../src/nn/encoder.ts";
import { ElasticResNet } from "../../../src/nn/resnet.ts";
import { SearchSpace } from "../../../src/elastic/search_space.ts";
import { purpose, Random } from "../../../src/random.ts";
import { sgdStep } from "../../../src/tensor/ops/update.ts";
import { Tape } from "../../../src/tensor/tape.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import { gpuTest } from "../../helpers.ts";

const side = 64;
const steps = 75;

/** Discs of two colours on noise. */
const scenes = [
  [{ label: 1, box: [6, 8, 26, 28] }, { label: 2, box: [34, 30, 58, 54] }],
  [{ label: 2, box: [8, 30, 30, 52] }, { label: 1, box: [36, 4, 60, 30] }],
];

function draw() {
  const random = new Random(5, purpose.test);
  const pixels = new Float32Array(2 * 3 * side * side).map(() => random.uniform(-0.3, 0.3));
  const objects = scenes.map((scene, image): TrainingObjects => ({
    boxes: Float32Array.from(scene.flatMap(({ box }) => box)),
    labels: scene.map(({ label }) => label),
    masks: scene.map(({ label, box: [x1, y1, x2, y2] }) =>
      Uint8Array.from({ length: side * side }, (_, at) => {
        const x = at % side + 0.5, y = Math.floor(at / side) + 0.5;
        const inside =
          ((x - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1)) ** 2 <= 0.25;
        if (inside) pixels[(image * 3 + label) * side * side + at] = 2;
        return Number(inside);
      })
    ),
  }));
  return { pixels, objects };
}

gpuTest("a Mask R-CNN learns two images by heart", async (gpu) => {
  const space = new SearchSpace({
    block: "basic",
    stem: { kind: "7x7", widths: [8] },
    widths: [[8], [16], [16], [16]],
    depths: [[1], [1], [1], [1]],
    strides: [1, 2, 2, 2],
    named: {},
  });
  const encoder = new Encoder(gpu, new ElasticResNet(space), undefined, true);
  await encoder.initialise(1, { head: "uniform", lastBatchnorm: 1 });
  const settings = maskRcnnSettings(3);
  const detector = new Detector(gpu, [8, 16, 16, 16], {
    ...settings,
    channels: 16,
    anchors: { ...settings.anchors, sizes: [[12], [24], [48], [96], [192]] },
    proposals: {
      ...settings.proposals,
      targets: { ...settings.proposals.targets, sample: { size: 64, positiveFraction: 0.5 } },
      training: { ...settings.proposals.training, beforeNms: 100, afterNms: 30 },
      testing: { ...settings.proposals.testing, beforeNms: 100, afterNms: 30 },
    },
    levels: { ...settings.levels, canonicalScale: 48 },
    boxes: {
      ...settings.boxes,
      hidden: 48,
      targets: { ...settings.boxes.targets, sample: { size: 24, positiveFraction: 0.5 } },
    },
    masks: { ...settings.masks!, convolutions: [16], hidden: 16 },
  }, true);
  await detector.initialise(2);
  const { pixels, objects } = draw();
  const images = Tensor.from(gpu, pixels, [2, 3, side, side]);
  const size = { height: side, width: side };
  const batch = { sizes: [size, size], padded: size, objects };
  const all = [encoder.weights, detector.weights];
  const momenta = all.map(({ values }) => new Arena(gpu, values.layout));
  const taps = ["c2", "c3", "c4", "c5"];
  const totals: number[] = [];
  for (let step = 0; step < steps; step++) {
    for (const { gradients } of all) gradients!.clear();
    using tape = new Tape(gpu, true);
    const pass = encoder.pass({ tape, training: true, batchnormGroups: 1 });
    const features = encoder.features(pass, images, space.max, taps).taps;
    const found = await detectorLosses(detector, pass, taps.map((tap) => features.get(tap)!), batch, {
      seed: 1,
      step,
    });
    const losses = Object.values(found).filter((loss): loss is Tensor => loss !== undefined);
    if (step === 0 || step === steps - 1) {
      const values = await gpu.read(...losses);
      totals.push(values.reduce((sum, bytes) => sum + new Float32Array(bytes)[0], 0));
    }
    tape.backward(...losses);
    // Warmed up, as detectors need it, and lower at the end.
    const learningRate = 0.02 * Math.min(1, (step + 1) / 8) * (step < 0.8 * steps ? 1 : 0.2);
    all.forEach((weights, which) =>
      weights.values.chunks.forEach((chunk, at) =>
        sgdStep(gpu, chunk, weights.gradients!.chunks[at], momenta[which].chunks[at], {
          learningRate,
          momentum: 0.9,
          weightDecay: 0,
        })
      )
    );
  }
  assert(totals[1] < totals[0] / 4, `losses went from ${totals[0]} to ${totals[1]}`);

  using tape = new Tape(gpu, false);
  // With the statistics of these images: the running ones are not there yet.
  const pass = encoder.pass({ tape, training: true, batchnormGroups: 1 });
  const features = encoder.features(pass, images, space.max, taps).taps;
  const detections = await detectObjects(detector, pass, taps.map((tap) => features.get(tap)!), batch);
  scenes.forEach((scene, image) => {
    const { boxes, scores, labels, masks } = detections[image];
    scene.forEach(({ label, box }, object) => {
      const best = labels.indexOf(label);
      const about = `class ${label} of image ${image}, score ${scores[best]}`;
      assert(scores[best] > 0.5, about);
      const [wanted, area] = [Float32Array.from(box), (box[2] - box[0]) * (box[3] - box[1])];
      const found = boxes.slice(4 * best, 4 * best + 4);
      const overlap = boxIou(wanted, 0, found, 0, [area, (found[2] - found[0]) * (found[3] - found[1])]);
      assert(overlap > 0.6, `${about}: the boxes' overlap is ${overlap}`);
      const mask = maskPixels(pasteMask(masks![best], found, size), size);
      const truth = objects[image].masks![object];
      const both = mask.filter((value, at) => value && truth[at]).length;
      const either = mask.filter((value, at) => value || truth[at]).length;
      assert(both / either > 0.6, `${about}: the masks' overlap is ${both / either}`);
    });
  });
});
