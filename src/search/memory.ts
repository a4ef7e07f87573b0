/**
 * Device memory of a search: the states that a depth-first walk keeps, what a unit holds while it runs, and the teacher's
 * side. The bounds are upper bounds: the pool's budget refuses whatever would pass them.
 */
import { imageShape, tapShapes, unitsOf } from "../elastic/network.ts";
import { traceUnit } from "../elastic/unit.ts";
import type { NetworkUnit } from "../nn/layers.ts";
import { elements, type Shape } from "../shape.ts";
import type { Place } from "./places.ts";
import type { BatchnormMode } from "./runner.ts";
import { padded, positionGrid } from "./similarity/samples.ts";
import type { SimilarityOptions } from "./similarity/options.ts";
import type { PrefixTree, TreeNode } from "./tree.ts";

/** What decides about the memory of a walk. */
export interface MemoryQuestion {
  readonly tree: PrefixTree;
  /** Side of the square image, in pixels. */
  readonly imageSize: number;
  readonly similarity: SimilarityOptions;
  readonly mode: BatchnormMode;
}

/** Buffers come in classes that are at most a quarter larger than what is asked for. */
const classRounding = 1.25;

/** Bytes of a walk. */
export interface WalkMemory {
  /** All of it at once, at most. */
  readonly total: number;
  /** The largest single buffer. */
  readonly largest: number;
}

/** What a moment of a walk holds, in elements for each image of a batch. */
interface Moment {
  /** States that later siblings, or this moment itself, start from. */
  readonly kept: number;
  /** The state that is being made. */
  readonly output: number;
  /** What a unit holds of one batch while it runs, its output included. */
  readonly running: number;
}

/** The moments of a walk, and its largest map, in elements for each image. */
interface Moments {
  /** While a unit runs, each once. */
  readonly runs: readonly Moment[];
  /** The most that states hold while features are compared. */
  readonly scoring: number;
  readonly largest: number;
}

const momentsOf = new WeakMap<PrefixTree, Map<number, Moments>>();

/** Follows a walk over the tree, and the teacher's run. */
function findMoments(tree: PrefixTree, imageSize: number): Moments {
  let bySize = momentsOf.get(tree);
  if (!bySize) momentsOf.set(tree, bySize = new Map());
  const known = bySize.get(imageSize);
  if (known) return known;
  const runs = new Map<string, Moment>();
  let scoring = 0, largest = 0;
  const run = (unit: NetworkUnit, input: Shape, kept: number): Shape => {
    const { calls, output } = traceUnit(unit, input);
    let sum = 0, scratch = 0;
    for (const { layer, inputs, output } of calls) {
      sum += elements(output);
      const shape = layer.scratchShape(...inputs);
      if (shape) scratch = Math.max(scratch, elements(shape));
      largest = Math.max(largest, elements(output), scratch);
    }
    const moment = { kept, output: elements(output), running: sum + scratch };
    runs.set(Object.values(moment).join(), moment);
    return output;
  };
  const images = imageShape(tree.network, imageSize);

  /** @param kept without the input, which counts for nothing where it is the images */
  const walk = (nodes: readonly TreeNode[], input: Shape, state: number, kept: number): void =>
    nodes.forEach((node, index) => {
      const output = run(node.unit, input, kept + state);
      const below = index === nodes.length - 1 ? kept : kept + state;
      if (node.scores.length > 0) scoring = Math.max(scoring, below + elements(output));
      walk(node.children, output, elements(output), below);
    });
  walk(tree.roots, images, 0, 0);

  let shape = images, state = 0;
  for (const { unit, segment } of unitsOf(tree.network, tree.network.space.max)) {
    if (segment >= tree.segments) break;
    shape = run(unit, shape, state);
    state = elements(shape);
    scoring = Math.max(scoring, state);
  }
  const moments = { runs: [...runs.values()], scoring, largest: Math.max(largest, elements(images)) };
  bySize.set(imageSize, moments);
  return moments;
}

/**
 * Memory of a walk, without the encoders' weights.
 *
 * @param batch images of a batch
 * @param images all images of a search; recalibration keeps the maps of all
 */
export function walkMemory(question: MemoryQuestion, batch: number, images: number): WalkMemory {
  const { tree: { network, places }, imageSize, mode } = question;
  const moments = findMoments(question.tree, imageSize);
  // Recalibration keeps a map in training and one in evaluation of each batch, and both of a unit's output meanwhile.
  const recalibrated = mode === "recalibrated";
  const batches = recalibrated ? images / batch : 1;
  const copies = recalibrated ? 2 * batches : 1;
  const bytes = 4 * batch;
  const running = Math.max(
    ...moments.runs.map(({ kept, output, running }) =>
      copies * (kept + (recalibrated ? output : 0)) + running
    ),
  );
  const shapes = tapShapes(network, network.space.max, imageSize);
  let largest = bytes * moments.largest;
  let prepared = 0;
  let scoring = 0;
  for (const place of places) {
    const found = similarityMemory(question, place, batch, shapes.get(place.tap)!);
    prepared += found.prepared;
    scoring = Math.max(scoring, found.working);
    largest = Math.max(largest, found.largest);
  }
  const input = bytes * elements(imageShape(network, imageSize));
  // The images of a batch are uploaded as pixels before they are normalised.
  const total = batches * (input + prepared) + 2 * input +
    Math.max(bytes * running, bytes * copies * moments.scoring + scoring);
  return { total: Math.ceil(classRounding * total), largest };
}

/** The teacher's side of a place, and what one comparison needs meanwhile. See affinity.ts and cka.ts. */
function similarityMemory(
  { similarity }: MemoryQuestion,
  { kind }: Place,
  batch: number,
  [, width, height, columns]: Shape,
): { prepared: number; working: number; largest: number } {
  const channels = padded(width);
  if (similarity.metric === "cosine") {
    const rows = 4 * batch * channels;
    return { prepared: rows, working: 4 * rows, largest: rows };
  }
  const overImages = kind !== "map" ||
    (similarity.metric === "cka" && (similarity.samples ?? "images") === "images");
  const grid = overImages ? { rows: 1, columns: 1 } : positionGrid(height, columns, similarity.positions);
  const positions = grid.rows * grid.columns;
  const groups = overImages || (similarity.metric === "cka" && similarity.samples === "all-positions")
    ? 1
    : batch;
  const samples = padded(batch / groups * positions);
  const packed = 4 * groups * channels * samples;
  const gram = 4 * groups * samples ** 2;
  if (similarity.metric === "affinity" && samples > 8 * channels) {
    const products = 4 * groups * channels ** 2;
    return { prepared: 2 * packed, working: 3 * (packed + products), largest: Math.max(packed, products) };
  }
  // Row sums come in samples / 8 parts, for products and for squares.
  return { prepared: gram + packed, working: 2 * packed + gram, largest: Math.max(packed, gram) };
}

/**
 * The most images of a batch that fit.
 *
 * @param batch images of a batch that are wanted
 * @param fewest the fewest that the metric and batchnorm allow
 * @param budget bytes for the walk
 * @param largest bytes that a single buffer may have
 * @returns undefined when not even the fewest fit
 */
export function fittingBatch(
  question: MemoryQuestion,
  { batch, images, fewest }: { batch: number; images: number; fewest: number },
  budget: number,
  largest: number,
): number | undefined {
  for (let size = Math.min(batch, images); size >= fewest; size--) {
    const memory = walkMemory(question, size, images);
    if (memory.total <= budget && memory.largest <= largest) return size;
  }
}
