/** What a detector is trained by: losses of proposals, classes, boxes and masks, as torchvision's. */
import { ShapeError } from "../../errors.ts";
import { purpose, Random } from "../../random.ts";
import { add, scale } from "../../tensor/ops/elementwise.ts";
import { sigmoidCrossEntropy, smoothL1 } from "../../tensor/ops/elementwise_losses.ts";
import { softmaxCrossEntropy } from "../../tensor/ops/softmax.ts";
import type { Tape } from "../../tensor/tape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Pass } from "../layers.ts";
import { allAnchors } from "./anchors.ts";
import { takeBoxes } from "./boxes.ts";
import { type HostValues, uploadTogether } from "./constants.ts";
import { type Detector, joinRegions, type ProposalOutput } from "./detector.ts";
import { type PaddedImages, readProposals } from "./infer.ts";
import {
  anchorTargets,
  type ImageObjects,
  maskTargets,
  type RegionTargets,
  regionTargets,
} from "./targets.ts";

/** The objects of one image with their masks. */
export interface TrainingObjects extends ImageObjects {
  /** 0 or 1 for each pixel of the image without padding, row by row; where the detector has masks. */
  readonly masks?: readonly Uint8Array[];
}

/** A batch with what is on it. */
export interface TrainingImages extends PaddedImages {
  readonly objects: readonly TrainingObjects[];
}

/** Where random numbers are drawn: the same for the same step. */
export interface Draw {
  readonly seed: number;
  readonly step: number;
}

/** Losses of one batch, scalars. */
export interface DetectorLosses {
  /** Whether an anchor is an object: cross-entropy, mean over the anchors that were drawn. */
  readonly objectness: Tensor;
  /** Where the objects lie, seen from their anchors: smooth L1, sum over objects' anchors over all that were drawn. */
  readonly proposals: Tensor;
  /** Cross-entropy of the regions' classes, mean over them. Undefined without any region, as the next. */
  readonly classes: Tensor | undefined;
  /** Smooth L1 of the true class' box, sum over objects' regions over all regions. */
  readonly boxes: Tensor | undefined;
  /** Cross-entropy of the true class' mask, mean over its pixels. Undefined without masks, or regions of objects. */
  readonly masks: Tensor | undefined;
}

/**
 * Runs a detector on a batch and records its losses. Waits for the device once, for the proposals, through which no gradient
 * flows.
 *
 * @param pass one that records
 * @param taps of the backbone, from fine to coarse
 * @throws {ShapeError} when objects' masks are missing, a class is not the detector's, or a box has no area
 */
export async function detectorLosses(
  detector: Detector,
  pass: Pass,
  taps: readonly Tensor[],
  images: TrainingImages,
  draw: Draw,
): Promise<DetectorLosses> {
  const { settings } = detector;
  expectObjects(images, settings.classes);
  const maps = detector.pyramid(pass, taps);
  const outputs = detector.propose(pass, maps);
  const proposals = await readProposals(detector, outputs, images, settings.proposals.training);
  const regions = images.objects.map((objects, image) =>
    regionTargets(
      proposals[image],
      objects,
      settings.boxes.targets,
      new Random(draw.seed, purpose.regionSampling, draw.step, 2 * image + 1),
    )
  );
  return {
    ...proposalLosses(detector, pass, outputs, images, draw),
    ...boxLosses(detector, pass, maps, images, regions),
    masks: settings.masks && maskLoss(detector, pass, maps, images, regions),
  };
}

/** Refuses what would end as a wrong class or as NaN. */
function expectObjects({ sizes, objects }: TrainingImages, classes: number): void {
  if (objects.length !== sizes.length) {
    throw new ShapeError(`objects of ${objects.length} images in a batch of ${sizes.length}`);
  }
  objects.forEach(({ boxes, labels }, image) => {
    for (let object = 0; object < labels.length; object++) {
      const [x1, y1, x2, y2] = boxes.subarray(4 * object, 4 * object + 4);
      if (!(x2 > x1 && y2 > y1)) {
        throw new ShapeError(
          `image ${image} of the batch has a box without area: ${x1}, ${y1}, ${x2}, ${y2}`,
        );
      }
      if (!(labels[object] >= 1 && labels[object] < classes)) {
        throw new ShapeError(
          `image ${image} of the batch has an object of class ${labels[object]}; the detector has 1 to ${
            classes - 1
          }`,
        );
      }
    }
  });
}

/** Targets and weights of a map [N, anchors * parts, H, W]. */
function onMap({ shape }: Tensor): { readonly targets: Float32Array; readonly weights: Float32Array } {
  const length = shape.reduce((product, size) => product * size, 1);
  return { targets: new Float32Array(length), weights: new Float32Array(length) };
}

function proposalLosses(
  { settings }: Detector,
  { tape }: Pass,
  outputs: readonly ProposalOutput[],
  { padded, objects }: TrainingImages,
  { seed, step }: Draw,
): Pick<DetectorLosses, "objectness" | "proposals"> {
  const maps = outputs.map(({ objectness: { shape: [, , height, width] } }) => ({ height, width }));
  const anchors = allAnchors(settings.anchors, maps, padded);
  const targets = objects.map((one, image) =>
    anchorTargets(
      anchors,
      one,
      settings.proposals.targets,
      new Random(seed, purpose.regionSampling, step, 2 * image),
    )
  );
  const drawn = targets.reduce(
    (sum, { positives, negatives }) => sum + positives.length + negatives.length,
    0,
  );
  const values = outputs.map(({ objectness, deltas }) => ({
    objectness: onMap(objectness),
    deltas: onMap(deltas),
  }));
  const firsts = [0];
  outputs.forEach(({ objectness: { shape: [, each, height, width] } }) =>
    firsts.push(firsts.at(-1)! + each * height * width)
  );
  /** The map of an anchor, and where that and its first delta lie there. */
  const placeOf = (image: number, anchor: number) => {
    const map = firsts.findLastIndex((first) => first <= anchor);
    const [, each, height, width] = outputs[map].objectness.shape;
    const positions = height * width;
    const index = anchor - firsts[map];
    const kind = index % each, position = Math.floor(index / each);
    return {
      map: values[map],
      logit: (image * each + kind) * positions + position,
      delta: (image * each + kind) * 4 * positions + position,
      positions,
    };
  };
  targets.forEach(({ positives, negatives, codes }, image) => {
    for (const anchor of negatives) {
      const { map, logit } = placeOf(image, anchor);
      map.objectness.weights[logit] = 1 / drawn;
    }
    positives.forEach((anchor, at) => {
      const { map, logit, delta, positions } = placeOf(image, anchor);
      map.objectness.weights[logit] = 1 / drawn;
      map.objectness.targets[logit] = 1;
      for (let part = 0; part < 4; part++) {
        map.deltas.weights[delta + part * positions] = 1 / drawn;
        map.deltas.targets[delta + part * positions] = codes[4 * at + part];
      }
    });
  });
  const uploaded = uploadTogether(
    tape,
    outputs.flatMap(({ objectness: { shape }, deltas }, map): HostValues[] => [
      { values: values[map].objectness.targets, shape },
      { values: values[map].objectness.weights, shape },
      { values: values[map].deltas.targets, shape: deltas.shape },
      { values: values[map].deltas.weights, shape: deltas.shape },
    ]),
  );
  return {
    objectness: total(
      tape,
      outputs.map(({ objectness }, map) =>
        sigmoidCrossEntropy(tape, objectness, uploaded[4 * map], {
          weights: uploaded[4 * map + 1],
          reduction: "sum",
        })
      ),
    ),
    proposals: total(
      tape,
      outputs.map(({ deltas }, map) =>
        smoothL1(tape, deltas, uploaded[4 * map + 2], {
          weights: uploaded[4 * map + 3],
          reduction: "sum",
          beta: settings.proposals.beta,
        })
      ),
    ),
  };
}

/** The sum of losses, of one at least. */
function total(tape: Tape, losses: readonly Tensor[]): Tensor {
  return losses.reduce((sum, loss) => add(tape, sum, loss));
}

/** Values of all images, one after the other. */
function joined(lists: readonly Float32Array[]): Float32Array {
  return Float32Array.from(lists.flatMap((list) => [...list]));
}

function boxLosses(
  detector: Detector,
  pass: Pass,
  maps: readonly Tensor[],
  images: TrainingImages,
  regions: readonly RegionTargets[],
): Pick<DetectorLosses, "classes" | "boxes"> {
  const { classes, boxes: { agnostic, beta } } = detector.settings;
  const labels = regions.flatMap((one) => [...one.labels]);
  if (labels.length === 0) return { classes: undefined, boxes: undefined };
  const { tape } = pass;
  const moves = joined(regions.map((one) => one.codes));
  const losses = detector.parts("boxes", joinRegions(regions.map(({ boxes }) => boxes))).map((part) => {
    const { logits, codes } = detector.boxes(pass, maps, images.sizes, part);
    const targets = new Float32Array(codes.length), weights = new Float32Array(codes.length);
    const own = labels.slice(part.first, part.end);
    own.forEach((label, region) => {
      if (label === 0) return;
      const start = 4 * (agnostic ? region : region * classes + label);
      const from = 4 * (part.first + region);
      targets.set(moves.subarray(from, from + 4), start);
      weights.fill(1 / labels.length, start, start + 4);
    });
    const uploaded = uploadTogether(tape, [
      { values: Uint32Array.from(own), shape: [own.length] },
      { values: targets, shape: codes.shape },
      { values: weights, shape: codes.shape },
    ]);
    const mean = softmaxCrossEntropy(tape, logits, uploaded[0]);
    return {
      classes: own.length === labels.length ? mean : scale(tape, mean, own.length / labels.length),
      boxes: smoothL1(tape, codes, uploaded[1], { weights: uploaded[2], reduction: "sum", beta }),
    };
  });
  return {
    classes: total(tape, losses.map((loss) => loss.classes)),
    boxes: total(tape, losses.map((loss) => loss.boxes)),
  };
}

function maskLoss(
  detector: Detector,
  pass: Pass,
  maps: readonly Tensor[],
  images: TrainingImages,
  regions: readonly RegionTargets[],
): Tensor | undefined {
  const { targets: rule } = detector.settings.masks!;
  const { tape } = pass;
  const ofObjects = regions.map(({ boxes, labels, objects }) => {
    const found = [...labels.keys()].filter((region) => labels[region] > 0);
    return {
      boxes: takeBoxes(boxes, found),
      labels: found.map((region) => labels[region]),
      objects: found.map((region) => objects[region]),
    };
  });
  const labels = ofObjects.flatMap((one) => one.labels);
  if (labels.length === 0) return undefined;
  const seen = joined(ofObjects.map(({ boxes, objects }, image) => {
    const { masks } = images.objects[image];
    if (!masks && objects.length > 0) {
      throw new ShapeError(`image ${image} of the batch has objects without masks`);
    }
    return maskTargets(masks ?? [], images.sizes[image], boxes, objects, rule);
  }));
  const losses = detector.parts("masks", joinRegions(ofObjects.map(({ boxes }) => boxes))).map((part) => {
    const logits = detector.masks(pass, maps, images.sizes, part);
    const [, classes, side] = logits.shape;
    const pixels = side * side;
    const targets = new Float32Array(logits.length), weights = new Float32Array(logits.length);
    labels.slice(part.first, part.end).forEach((label, region) => {
      const start = (region * classes + label) * pixels;
      const from = (part.first + region) * pixels;
      targets.set(seen.subarray(from, from + pixels), start);
      weights.fill(1 / seen.length, start, start + pixels);
    });
    const uploaded = uploadTogether(tape, [
      { values: targets, shape: logits.shape },
      { values: weights, shape: logits.shape },
    ]);
    return sigmoidCrossEntropy(tape, logits, uploaded[0], { weights: uploaded[1], reduction: "sum" });
  });
  return total(tape, losses);
}
