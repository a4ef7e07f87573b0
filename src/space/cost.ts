/**
 * Exact costs of architectures. MACs count the multiplications of convolutions (also those with padding, as is
 * usual) for one square image; parameters count convolution weights and batchnorm weights and biases. No head.
 *
 * A stage costs `first(incoming, width) + (depth - 1) · rest(width)` and knows nothing else of the other stages.
 */

import type { Architecture } from "./architecture.ts";
import type { SearchSpace } from "./search_space.ts";

/** Half-open range of MACs with the number of architectures in it. */
export interface MacGroup {
  /** Lower bound, included; a multiple of the group size. */
  readonly from: number;
  /** Upper bound, excluded. */
  readonly to: number;
  readonly count: number;
}

/** A convolution without bias, followed by a batchnorm. */
interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  /** Side of the output map, in pixels. */
  readonly side: number;
}

type Measure = (layer: Layer) => number;

const layerMacs: Measure = ({ inputs, outputs, kernel, side }) => inputs * outputs * kernel ** 2 * side ** 2;
const layerParameters: Measure = ({ inputs, outputs, kernel }) =>
  inputs * outputs * kernel ** 2 + 2 * outputs;

function total(layers: readonly Layer[], measure: Measure): number {
  return layers.reduce((sum, layer) => sum + measure(layer), 0);
}

/** Side of a map after a convolution or pool that pads by half its odd kernel. */
function strided(side: number, stride: number): number {
  return Math.floor((side - 1) / stride) + 1;
}

/**
 * Side of the square feature map after the stem (index 0) and after each stage (index 1 …), in pixels.
 *
 * @param imageSize side of the square input image, in pixels
 */
export function featureSides(space: SearchSpace, imageSize: number): number[] {
  const { stem, strides } = space.definition;
  const afterStem = stem.kind === "7x7" ? strided(strided(imageSize, 2), 2) : imageSize;
  return strides.reduce((sides, stride) => [...sides, strided(sides.at(-1)!, stride)], [afterStem]);
}

function stemLayer(space: SearchSpace, width: number, imageSize: number): Layer {
  return space.definition.stem.kind === "7x7"
    ? { inputs: 3, outputs: width, kernel: 7, side: strided(imageSize, 2) }
    : { inputs: 3, outputs: width, kernel: 3, side: imageSize };
}

/** The convolutions of one block; a bottleneck's stride is in its 3x3, so its first 1x1 still sees the large map. */
function blockLayers(
  space: SearchSpace,
  incoming: number,
  width: number,
  sides: { incoming: number; outgoing: number },
  downsample: boolean,
): Layer[] {
  const side = sides.outgoing;
  const outputs = width * space.expansion;
  const branch: Layer[] = space.definition.block === "bottleneck"
    ? [
      { inputs: incoming, outputs: width, kernel: 1, side: sides.incoming },
      { inputs: width, outputs: width, kernel: 3, side },
      { inputs: width, outputs, kernel: 1, side },
    ]
    : [
      { inputs: incoming, outputs: width, kernel: 3, side },
      { inputs: width, outputs: width, kernel: 3, side },
    ];
  return downsample ? [...branch, { inputs: incoming, outputs, kernel: 1, side }] : branch;
}

/** Costs of the parts that an architecture adds up. */
class Cost {
  readonly #sides: readonly number[];

  constructor(readonly space: SearchSpace, readonly imageSize: number, readonly measure: Measure) {
    this.#sides = featureSides(space, imageSize);
  }

  stem(width: number): number {
    return this.measure(stemLayer(this.space, width, this.imageSize));
  }

  /** @param incoming channels that enter the stage */
  stage(stage: number, incoming: number, width: number, depth: number): number {
    const { space } = this;
    const outgoingSide = this.#sides[stage + 1];
    const sides = { incoming: this.#sides[stage], outgoing: outgoingSide };
    const first = blockLayers(space, incoming, width, sides, space.hasDownsample(stage));
    const restSides = { incoming: outgoingSide, outgoing: outgoingSide };
    const rest = blockLayers(space, width * space.expansion, width, restSides, false);
    return total(first, this.measure) + (depth - 1) * total(rest, this.measure);
  }

  architecture({ stem, widths, depths }: Architecture): number {
    let sum = this.stem(stem);
    let incoming = stem;
    widths.forEach((width, stage) => {
      sum += this.stage(stage, incoming, width, depths[stage]);
      incoming = width * this.space.expansion;
    });
    return sum;
  }
}

/**
 * Multiply-accumulates of an architecture's convolutions for one image.
 *
 * @param imageSize side of the square image, in pixels
 */
export function macs(space: SearchSpace, architecture: Architecture, imageSize: number): number {
  return new Cost(space, imageSize, layerMacs).architecture(architecture);
}

/** MACs of an architecture's parts for one image; they add up to {@linkcode macs}. */
export interface PartMacs {
  stem(width: number): number;
  /**
   * The first `depth` blocks of a stage.
   * @param incoming channels that enter the stage
   */
  stage(stage: number, incoming: number, width: number, depth: number): number;
}

/**
 * MACs of single parts of architectures.
 *
 * @param imageSize side of the square image, in pixels
 */
export function partMacs(space: SearchSpace, imageSize: number): PartMacs {
  return new Cost(space, imageSize, layerMacs);
}

/** Number of parameters of an architecture: convolution weights, batchnorm weights and biases, no head. */
export function parameters(space: SearchSpace, architecture: Architecture): number {
  return new Cost(space, 1, layerParameters).architecture(architecture);
}

/**
 * How many architectures fall into each group of MACs; group i holds those in [i · groupSize, (i + 1) · groupSize).
 * Groups without architectures are left out.
 *
 * Architectures are never enumerated: per stage and outgoing width, a table says how many prefixes cost how much.
 *
 * @param imageSize side of the square image, in pixels
 * @param groupSize MACs per group, above 0
 */
export function groupsByMacs(space: SearchSpace, imageSize: number, groupSize: number): MacGroup[] {
  const { stem, widths, depths } = space.definition;
  const cost = new Cost(space, imageSize, layerMacs);
  type Counts = Map<number, number>;
  const add = (counts: Counts, key: number, count: number) => counts.set(key, (counts.get(key) ?? 0) + count);

  let prefixes = new Map<number, Counts>(
    stem.widths.map((width) => [width, new Map([[cost.stem(width), 1]])]),
  );
  widths.forEach((choices, stage) => {
    const longer = new Map<number, Counts>();
    for (const width of choices) {
      const counts: Counts = new Map();
      for (const [incoming, prefixCounts] of prefixes) {
        for (const depth of depths[stage]) {
          const stageCost = cost.stage(stage, incoming, width, depth);
          for (const [prefixCost, count] of prefixCounts) add(counts, prefixCost + stageCost, count);
        }
      }
      longer.set(width * space.expansion, counts);
    }
    prefixes = longer;
  });

  const groups: Counts = new Map();
  for (const counts of prefixes.values()) {
    for (const [value, count] of counts) add(groups, Math.floor(value / groupSize), count);
  }
  return [...groups].sort(([a], [b]) => a - b)
    .map(([index, count]) => ({ from: index * groupSize, to: (index + 1) * groupSize, count }));
}

/**
 * A round group size (1, 2 or 5 times a power of ten) that divides a space into at most 16 groups;
 * for the published ImageNet space that is its 1 GMAC.
 *
 * @param imageSize side of the square image, in pixels
 */
export function roundGroupSize(space: SearchSpace, imageSize: number): number {
  const smallest = macs(space, space.min, imageSize);
  const largest = macs(space, space.max, imageSize);
  for (let power = 1;; power *= 10) {
    for (const digit of [1, 2, 5]) {
      const size = digit * power;
      if (Math.floor(largest / size) - Math.floor(smallest / size) < 16) return size;
    }
  }
}
