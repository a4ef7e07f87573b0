/** A detector's heads with their weights, over a network's taps. */
import type { HeadTrace } from "../../elastic/head.ts";
import { DataError, ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { elements, type Shape } from "../../shape.ts";
import { type FeatureLevel, type Regions, roiAlign } from "../../tensor/ops/roi_align.ts";
import type { RoiSampling } from "../../tensor/ops/roi_align_table.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { headWeights, initialiseHeads, type NetworkHead, runHead } from "../heads.ts";
import type { Pass } from "../layers.ts";
import type { HostWeights } from "../onnx_graph.ts";
import { Weights } from "../weights.ts";
import { type Boxes, type ImageSize, joinBoxes } from "./boxes.ts";
import { detectorHeads, type OfHeads, traceDetector } from "./detector_heads.ts";
import { pyramidLevels } from "./pyramid_levels.ts";
import type { DetectorSettings } from "./settings.ts";

/** What the region proposal network says of one map. */
export interface ProposalOutput {
  /** Logits, [N, anchors, H, W] */
  readonly objectness: Tensor;
  /** [N, 4 anchors, H, W] */
  readonly deltas: Tensor;
}

/** What the box head says of regions. */
export interface BoxOutput {
  /** [R, classes] */
  readonly logits: Tensor;
  /** [R, 4 classes], or [R, 4] */
  readonly codes: Tensor;
}

/** Regions of images that lie one after the other. */
export interface JoinedRegions {
  readonly boxes: Boxes;
  readonly images: Uint32Array;
}

/** A run of regions, `end` not included. */
export interface RegionRange extends JoinedRegions {
  readonly first: number;
  readonly end: number;
}

/** Regions of several images, one image after the other. */
export function joinRegions(boxes: readonly Boxes[]): JoinedRegions {
  const images = boxes.flatMap((list, image) => new Array<number>(list.length / 4).fill(image));
  return { boxes: joinBoxes(...boxes), images: Uint32Array.from(images) };
}

const noMasks = () => new ShapeError("a detector of boxes alone has no masks");

/** Feature pyramid, region proposal network, box head and, where its settings have masks, mask head. */
export class Detector {
  readonly weights: Weights;
  readonly #heads: OfHeads<NetworkHead>;
  readonly #starts: ReturnType<typeof headWeights>["starts"];
  /** Of the detector alone. */
  readonly #shapes: ReadonlyMap<string, Shape>;
  /** Of one region. */
  readonly #traces: OfHeads<HeadTrace>;

  /**
   * @param tapChannels channels of the taps at their widest, from fine to coarse; narrower ones use the leading weights
   * @param trained whether gradients are kept
   * @param backbone parameters that are placed with the detector's, so that one optimiser's launches change both
   * @throws {ShapeError} when the anchors are not for one map more than there are taps, or differ in number
   */
  constructor(
    gpu: Gpu,
    tapChannels: readonly number[],
    readonly settings: DetectorSettings,
    trained: boolean,
    backbone?: { readonly parameters: ReadonlyMap<string, Shape>; readonly frozen: ReadonlySet<string> },
  ) {
    this.#heads = detectorHeads(settings, tapChannels.length);
    // Sizes that every map of a pyramid can have: parameters do not depend on them.
    const taps = tapChannels.map((width, tap) => [1, width, 64 >> tap, 64 >> tap]);
    this.#traces = traceDetector(this.#heads, settings, taps, { boxes: 1, masks: 1 });
    const { pyramid, proposals, boxes, masks } = this.#traces;
    const { shapes, starts } = headWeights([pyramid, proposals, boxes, ...(masks ? [masks] : [])]);
    this.#shapes = shapes.parameters;
    const parameters = new Map([...backbone?.parameters ?? [], ...shapes.parameters]);
    this.weights = new Weights(gpu, { ...shapes, parameters }, trained, backbone?.frozen);
    this.#starts = starts;
  }

  /** Draws new weights as torchvision does, but for the random numbers. */
  async initialise(seed: number): Promise<void> {
    await initialiseHeads(this.weights, this.#starts, seed);
  }

  /**
   * Takes weights by their names; all of them, no others.
   * @throws {DataError} for what is missing, unknown, or of another shape
   */
  load(given: HostWeights): void {
    const parameters = this.#shapes;
    const missing = [...parameters.keys()].filter((name) => !given.has(name));
    const unknown = [...given.keys()].filter((name) => !parameters.has(name));
    const wrong = [...parameters].filter(([name, shape]) =>
      given.has(name) && given.get(name)!.shape.join() !== shape.join()
    );
    if (missing.length + unknown.length + wrong.length > 0) {
      const parts = [
        [missing, "missing"],
        [unknown, "unknown"],
        [
          wrong.map(([name, shape]) =>
            `${name} [${given.get(name)!.shape.join(", ")}], not [${shape.join(", ")}]`
          ),
          "of another shape",
        ],
      ] as const;
      const told = parts.filter(([names]) => names.length > 0).map(([names, what]) =>
        `${what}: ${names.slice(0, 4).join("; ")}${names.length > 4 ? ` and ${names.length - 4} more` : ""}`
      );
      throw new DataError(`These are not the weights of this detector. ${told.join(". ")}.`);
    }
    for (const [name, { data }] of given) this.weights.parameter(name).value.write(Float32Array.from(data));
  }

  /**
   * The pyramid's maps.
   * @param taps [N, C, H, W] each, from fine to coarse
   */
  pyramid(pass: Pass, taps: readonly Tensor[]): Tensor[] {
    return runHead(this.#own(pass), this.#heads.pyramid, taps);
  }

  /** What is said of all maps of the pyramid. */
  propose(pass: Pass, maps: readonly Tensor[]): ProposalOutput[] {
    const outputs = runHead(this.#own(pass), this.#heads.proposals, maps);
    return maps.map((_, map) => ({ objectness: outputs[2 * map], deltas: outputs[2 * map + 1] }));
  }

  /**
   * Cuts regions into as many as a head can take at once: no tensor of theirs may be larger than the adapter binds. None for
   * no regions.
   */
  parts(head: "boxes" | "masks", { boxes, images }: JoinedRegions): RegionRange[] {
    const trace = this.#traces[head];
    if (!trace) throw noMasks();
    const largest = trace.calls.flatMap(({ inputs, output }) => [...inputs, output]).map(elements)
      .reduce((most, count) => Math.max(most, count));
    const each = Math.max(1, Math.floor(this.weights.gpu.pool.limit / 4 / largest));
    const ranges: RegionRange[] = [];
    for (let first = 0; first < images.length; first += each) {
      const end = Math.min(first + each, images.length);
      ranges.push({ first, end, boxes: boxes.slice(4 * first, 4 * end), images: images.slice(first, end) });
    }
    return ranges;
  }

  /**
   * The box head on regions, at least one, and no more than one of {@linkcode parts}.
   * @param images sizes without padding, by which the maps' scales are known
   */
  boxes(pass: Pass, maps: readonly Tensor[], images: readonly ImageSize[], regions: Regions): BoxOutput {
    const pooled = this.#pool(pass, maps, images, regions, this.settings.boxes.pool);
    const [logits, codes] = runHead(this.#own(pass), this.#heads.boxes, [pooled]);
    pass.tape.discard(pooled);
    return { logits, codes };
  }

  /**
   * The mask head on regions, at least one, and no more than one of {@linkcode parts}.
   * @returns logits [R, classes, 2 bins, 2 bins]
   */
  masks(pass: Pass, maps: readonly Tensor[], images: readonly ImageSize[], regions: Regions): Tensor {
    if (!this.#heads.masks) throw noMasks();
    const pooled = this.#pool(pass, maps, images, regions, this.settings.masks!.pool);
    const [logits] = runHead(this.#own(pass), this.#heads.masks, [pooled]);
    pass.tape.discard(pooled);
    return logits;
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    this.weights.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** A pass through the heads' own weights. */
  #own(pass: Pass): Pass {
    return { ...pass, weights: this.weights };
  }

  /** Regions of all maps but the last. */
  #pool(
    { tape }: Pass,
    maps: readonly Tensor[],
    images: readonly ImageSize[],
    { boxes, images: owners }: Regions,
    sampling: RoiSampling,
  ): Tensor {
    const height = images.reduce((most, image) => Math.max(most, image.height), 0);
    const levels = maps.slice(0, this.settings.levels.levels).map((features): FeatureLevel => ({
      features,
      // torchvision takes the power of two that is nearest.
      scale: 2 ** Math.round(Math.log2(features.shape[2] / height)),
    }));
    return roiAlign(
      tape,
      levels,
      { boxes, images: owners, levels: pyramidLevels(Float32Array.from(boxes), this.settings.levels) },
      sampling,
    );
  }
}
