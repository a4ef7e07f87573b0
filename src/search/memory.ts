/**
 * Device memory of a search. Depth-first order keeps one map a level, so that the largest architecture decides, whatever
 * the number of candidates. The bounds are upper bounds: the pool's budget refuses whatever would pass them.
 */
import { featureSides } from "../space/cost.ts";
import type { SearchSpace } from "../space/search_space.ts";
import type { Place } from "./places.ts";
import type { BatchnormMode } from "./runner.ts";
import { padded, positionGrid } from "./similarity/samples.ts";
import type { SimilarityOptions } from "./similarity/metric.ts";

/** What decides about the memory of a walk. */
export interface MemoryQuestion {
  readonly space: SearchSpace;
  /** Side of the square image, in pixels. */
  readonly imageSize: number;
  readonly places: readonly Place[];
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

/**
 * Memory of a walk, without the encoders' weights.
 *
 * @param batch images of a batch
 * @param images all images of a search; recalibration keeps the maps of all
 */
export function walkMemory(question: MemoryQuestion, batch: number, images: number): WalkMemory {
  const { space, imageSize, places, mode } = question;
  const { max, definition, expansion } = space;
  const sides = featureSides(space, imageSize);
  const map = (channels: number, side: number) => 4 * batch * channels * side ** 2;
  // Recalibration keeps a map in training and one in evaluation of each batch, and both of a block's output meanwhile.
  const recalibrated = mode === "recalibrated";
  const batches = recalibrated ? images / batch : 1;
  const copies = recalibrated ? 2 * batches : 1;

  const input = map(3, imageSize);
  const stemSide = definition.stem.kind === "7x7" ? strided(imageSize) : imageSize;
  const stem = map(max.stem, stemSide);
  let levels = map(max.stem, sides[0]);
  let largest = Math.max(input, stem);
  // Convolved, normalised, and the level where there is a pool.
  let running = 2 * stem + copies * levels;
  const stages = 1 + Math.max(...places.map(({ stage }) => stage));
  for (let stage = 0; stage < stages; stage++) {
    const output = map(max.widths[stage] * expansion, sides[stage + 1]);
    // A bottleneck's stride comes after its first convolution.
    const inner = map(max.widths[stage], sides[expansion === 4 ? stage : stage + 1]);
    largest = Math.max(largest, output, inner);
    levels += output;
    // In a block: the shortcut, two inner maps, the output before and after batchnorm; its input is a level.
    running = Math.max(running, copies * (levels + (recalibrated ? output : 0)) + 3 * output + 2 * inner);
  }
  let prepared = 0;
  let scoring = 0;
  for (const place of places) {
    const bytes = similarityMemory(question, place, batch, sides[place.stage + 1]);
    prepared += bytes.prepared;
    scoring = Math.max(scoring, bytes.working);
    largest = Math.max(largest, bytes.largest);
  }
  // The images of a batch are uploaded as pixels before they are normalised.
  const total = batches * (input + prepared) + 2 * input + Math.max(running, copies * levels + scoring);
  return { total: Math.ceil(classRounding * total), largest };
}

/** Side of a map after a convolution of stride 2. */
function strided(side: number): number {
  return Math.floor((side - 1) / 2) + 1;
}

/** The teacher's side of a place, and what one comparison needs meanwhile. See affinity.ts and cka.ts. */
function similarityMemory(
  { space, similarity }: MemoryQuestion,
  { kind, stage }: Place,
  batch: number,
  side: number,
): { prepared: number; working: number; largest: number } {
  const channels = padded(space.max.widths[stage] * space.expansion);
  if (similarity.metric === "cosine") {
    const rows = 4 * batch * channels;
    return { prepared: rows, working: 4 * rows, largest: rows };
  }
  const overImages = kind !== "map" ||
    (similarity.metric === "cka" && (similarity.samples ?? "images") === "images");
  const grid = overImages ? { rows: 1, columns: 1 } : positionGrid(side, side, similarity.positions);
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
