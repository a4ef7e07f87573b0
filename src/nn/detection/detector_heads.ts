/** The heads that a detector's settings ask for, and what they cost; without a device. */
import { type HeadTrace, traceHead } from "../../elastic/head.ts";
import { traceMacs } from "../../elastic/unit.ts";
import { ShapeError } from "../../errors.ts";
import { elements, type Shape } from "../../shape.ts";
import type { NetworkHead } from "../heads.ts";
import { anchorsPerPosition } from "./anchors.ts";
import { boxHead, featurePyramid, maskHead, proposalHead } from "./heads.ts";
import type { DetectorSettings } from "./settings.ts";

/** Something of each head; masks where the settings have them. */
export interface OfHeads<T> {
  readonly pyramid: T;
  readonly proposals: T;
  readonly boxes: T;
  readonly masks?: T | undefined;
}

/**
 * The heads over a number of taps.
 * @throws {ShapeError} when the anchors are not for one map more than there are taps, or differ in number
 */
export function detectorHeads(settings: DetectorSettings, taps: number): OfHeads<NetworkHead> {
  const { classes, channels, anchors, boxes, masks, levels } = settings;
  const perPosition = anchorsPerPosition(anchors);
  if (perPosition.length !== taps + 1 || perPosition.some((count) => count !== perPosition[0])) {
    throw new ShapeError(
      `a pyramid over ${taps} taps has ${taps + 1} maps, with one number of anchors; given ${
        perPosition.join(", ")
      }`,
    );
  }
  if (levels.levels !== taps) {
    throw new ShapeError(`regions are taken from ${taps} maps; the rule has ${levels.levels} levels`);
  }
  return {
    pyramid: featurePyramid(taps, channels),
    proposals: proposalHead(channels, perPosition[0]),
    boxes: boxHead(boxes.hidden, classes, boxes.agnostic),
    masks: masks && maskHead(masks.convolutions, masks.hidden, classes),
  };
}

/** How many regions each head sees. */
export interface RegionCounts {
  readonly boxes: number;
  readonly masks: number;
}

/**
 * Follows the heads without running them.
 * @param taps shapes of the taps, from fine to coarse
 */
export function traceDetector(
  heads: OfHeads<NetworkHead>,
  { channels, boxes, masks }: DetectorSettings,
  taps: readonly Shape[],
  regions: RegionCounts,
): OfHeads<HeadTrace> {
  const pyramid = traceHead(heads.pyramid, taps);
  const pooled = (count: number, bins: number) => [[count, channels, bins, bins]];
  return {
    pyramid,
    proposals: traceHead(heads.proposals, pyramid.outputs),
    boxes: traceHead(heads.boxes, pooled(regions.boxes, boxes.pool.bins)),
    masks: masks && traceHead(heads.masks!, pooled(regions.masks, masks.pool.bins)),
  };
}

/** What a head costs in a forward pass. */
export interface HeadCosts {
  /** Multiplications of convolutions and products. */
  readonly macs: number;
  /** Numbers that a training step keeps until its gradients are done: inputs of regions and all results. */
  readonly values: number;
}

/**
 * What the heads cost on a batch.
 * @param taps shapes [N, C, H, W] of the taps, from fine to coarse
 * @param regions of the whole batch
 */
export function detectorCosts(
  settings: DetectorSettings,
  taps: readonly Shape[],
  regions: RegionCounts,
): OfHeads<HeadCosts> {
  const traces = traceDetector(detectorHeads(settings, taps.length), settings, taps, regions);
  const costs = (trace: HeadTrace, pooled = 0): HeadCosts => ({
    macs: traceMacs(trace),
    values: trace.calls.reduce(
      (sum, { layer, inputs, output }) =>
        sum + elements(output) + elements(layer.scratchShape(...inputs) ?? [0]),
      pooled,
    ),
  });
  const pooled = (trace: HeadTrace) => elements(trace.calls[0].inputs[0]);
  return {
    pyramid: costs(traces.pyramid),
    proposals: costs(traces.proposals),
    boxes: costs(traces.boxes, pooled(traces.boxes)),
    masks: traces.masks && costs(traces.masks, pooled(traces.masks)),
  };
}
