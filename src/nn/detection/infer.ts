/** Detecting: from a backbone's taps to boxes, classes, scores and masks. */
import type { Tensor } from "../../tensor/tensor.ts";
import type { Pass } from "../layers.ts";
import { gridAnchors } from "./anchors.ts";
import { boxCount, type Boxes, type ImageSize, joinBoxes } from "./boxes.ts";
import { detect, type Detections } from "./detections.ts";
import { type Detector, joinRegions, type ProposalOutput, type RegionRange } from "./detector.ts";
import { type ProposalRule, selectProposals } from "./proposals.ts";

/** A batch of images, each at the upper left of a common size. */
export interface PaddedImages {
  /** Without padding. */
  readonly sizes: readonly ImageSize[];
  readonly padded: ImageSize;
}

/** Detections of one image with their masks. */
export interface MaskedDetections extends Detections {
  /** Probabilities [side, side] of each detection's class; absent where the detector has no masks. */
  readonly masks?: readonly Float32Array<ArrayBuffer>[];
}

/** Reads a batch's proposals back and sifts them: one wait. */
export async function readProposals(
  { settings: { anchors } }: Detector,
  outputs: readonly ProposalOutput[],
  { sizes, padded }: PaddedImages,
  rule: ProposalRule,
): Promise<Boxes[]> {
  const { gpu } = outputs[0].objectness;
  const contents = await gpu.read(...outputs.flatMap(({ objectness, deltas }) => [objectness, deltas]));
  const maps = outputs.map(({ objectness: { shape: [, , height, width] } }) => ({ height, width }));
  const grids = gridAnchors(anchors, maps, padded);
  return sizes.map((size, image) => {
    const part = (tensor: number) => {
      const values = new Float32Array(contents[tensor]);
      const each = values.length / sizes.length;
      return values.subarray(image * each, (image + 1) * each);
    };
    const levels = grids.map((grid, map) => ({
      objectness: part(2 * map),
      deltas: part(2 * map + 1),
      anchors: grid,
      anchorsPerPosition: outputs[map].objectness.shape[1],
    }));
    return selectProposals(levels, size, rule).boxes;
  });
}

/**
 * Detects objects, as torchvision's models in evaluation mode do behind their backbone. Waits for the device two times, and
 * once more for masks.
 *
 * @param pass one that does not record
 * @param taps of the backbone, from fine to coarse
 * @returns detections of each image, in pixels of the images as they were given
 */
export async function detectObjects(
  detector: Detector,
  pass: Pass,
  taps: readonly Tensor[],
  images: PaddedImages,
): Promise<MaskedDetections[]> {
  const { tape } = pass;
  const { gpu } = tape;
  const { settings } = detector;
  const maps = detector.pyramid(pass, taps);
  const outputs = detector.propose(pass, maps);
  const proposals = await readProposals(detector, outputs, images, settings.proposals.testing);
  for (const output of outputs.flatMap(({ objectness, deltas }) => [objectness, deltas])) {
    tape.discard(output);
  }
  const boxed = await inParts(detector.parts("boxes", joinRegions(proposals)), async (part) => {
    const { logits, codes } = detector.boxes(pass, maps, images.sizes, part);
    const contents = await gpu.read(logits, codes);
    for (const output of [logits, codes]) tape.discard(output);
    return contents.map((bytes) => new Float32Array(bytes));
  });
  let first = 0;
  const found = proposals.map((boxes, image): Detections => {
    const [logits, codes] = boxed(first, first += boxCount(boxes));
    return detect(boxes, logits, codes, images.sizes[image], settings.boxes.detections);
  });
  if (!settings.masks) return found;
  let side = 0;
  const masked = await inParts(
    detector.parts("masks", joinRegions(found.map(({ boxes }) => boxes))),
    async (part) => {
      const logits = detector.masks(pass, maps, images.sizes, part);
      side = logits.shape[2];
      const values = await logits.read();
      tape.discard(logits);
      return [values];
    },
  );
  let region = 0;
  return found.map((one) => ({
    ...one,
    masks: Array.from(one.labels, (label) => {
      const [logits] = masked(region, ++region);
      return logits.slice(label * side * side, (label + 1) * side * side).map((value) =>
        1 / (1 + Math.exp(-value))
      );
    }),
  }));
}

/**
 * Runs a head on one part of regions after the other.
 * @param run gives rows of each output
 * @returns the rows of some regions, of each output
 */
async function inParts(
  parts: readonly RegionRange[],
  run: (part: RegionRange) => Promise<Float32Array<ArrayBuffer>[]>,
): Promise<(first: number, end: number) => Float32Array<ArrayBuffer>[]> {
  const outputs: Float32Array<ArrayBuffer>[][] = [];
  for (const part of parts) outputs.push(await run(part));
  return (first, end) => {
    const [{ length } = []] = outputs;
    return Array.from({ length: length ?? 2 }, (_, output) => {
      const rows = parts.flatMap((part, at) => {
        const values = outputs[at][output];
        const each = values.length / (part.end - part.first);
        const from = Math.max(first, part.first), to = Math.min(end, part.end);
        return from < to ? [values.subarray((from - part.first) * each, (to - part.first) * each)] : [];
      });
      return joinBoxes(...rows);
    });
  };
}
