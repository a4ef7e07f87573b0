/** The search: the teacher's features once a round, then the walk over all candidates, round by round of images. */
import type { Gpu } from "../gpu/device.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { batchBounds } from "../data/chosen_images.ts";
import { Pace } from "./pace.ts";
import { type BatchnormMode, NetworkRunner } from "./runner.ts";
import type { SimilarityMetric } from "./similarity/metric.ts";
import type { TableFormat } from "./similarity/score_table.ts";
import { type ImageRange, ImageSums } from "./image_sums.ts";
import { type CollectedSums, ScoreSums, slotScore } from "./sums.ts";
import type { PrefixTree } from "./tree.ts";
import { prepareTeachers, releaseTeachers, walkTree } from "./walk.ts";

/** How far a search is: complete rounds, and slots of the next one. */
export interface SearchPosition {
  readonly round: number;
  readonly slot: number;
}

/** A search that is ready to run. */
export interface SearchTask {
  readonly gpu: Gpu;
  /** Candidates are cut out of it. */
  readonly student: Encoder;
  /** Runs at its largest architecture. */
  readonly teacher: Encoder;
  readonly tree: PrefixTree;
  readonly metric: SimilarityMetric;
  readonly mode: BatchnormMode;
  /** Number of images. */
  readonly images: number;
  /** Images of a batch, at most. */
  readonly batch: number;
  /** Blocks of images that are kept apart; default as many as the host's memory is to hold for this tree. */
  readonly blocks?: number;
  /** Images [first, end), normalised; released here. */
  load(first: number, end: number): Promise<Tensor>;
  readonly signal: AbortSignal;
  /** Where an earlier search stopped, and its sums; from the start when absent. */
  readonly start?: SearchPosition & CollectedSums;
  /** Told when a unit of the tree that is counted was run. */
  onBlock?(): void;
  /** Keeps what was reached; called after each round, now and then, and at the end of an interrupted search. */
  save?(position: SearchPosition, collected: CollectedSums): Promise<void>;
}

/** Scores of a search. */
export interface SearchScores {
  /** [candidates, places], in the order of the tree; missing when the search was interrupted. */
  readonly scores: readonly (readonly number[])[] | undefined;
  /** [slots, components]. */
  readonly sums: Float64Array<ArrayBuffer>;
  /** What each image contributed to each slot. */
  readonly images: ImageSums;
}

const millisecondsBetweenSaves = 120_000;

/**
 * The batches that are walked together: with batch statistics each for itself, with recalibrated ones all, because
 * a layer's statistics must be known before anything runs behind it.
 */
export function searchRounds(images: number, batch: number, mode: BatchnormMode): [number, number][][] {
  const bounds = batchBounds(images, batch);
  return mode === "recalibrated" ? [bounds] : bounds.map((one) => [one]);
}

/**
 * Scores every candidate. Scores are those that each candidate would get alone, bit for bit: a prefix computes the same
 * for whatever follows.
 */
export async function searchTree(task: SearchTask): Promise<SearchScores> {
  const { gpu, tree, metric, start } = task;
  const values = start?.sums ?? new Float64Array(tree.slots * metric.components);
  const { imageComponents } = metric;
  const images = ImageSums.of(task.images, tree.slots, imageComponents, start?.imageSums, task.blocks);
  // A part of a search may have no candidates.
  if (tree.slots === 0) return { scores: [], sums: values, images };
  const rounds = searchRounds(task.images, task.batch, task.mode);
  const ranges = rounds.map((bounds): ImageRange => ({
    first: bounds[0][0],
    count: bounds.at(-1)![1] - bounds[0][0],
  }));
  const sums = new ScoreSums(gpu, metric, values, images, Math.max(...ranges.map(({ count }) => count)));
  let round = start?.round ?? 0;
  const { discards } = gpu.stream;
  try {
    for (; round < rounds.length; round++) {
      sums.restart(round === start?.round ? start.slot : 0, ranges[round]);
      await walkRound(task, rounds[round], sums, round);
      await sums.collect();
      await task.save?.({ round: round + 1, slot: 0 }, sums.collected);
    }
  } catch (error) {
    if (!task.signal.aborted || error !== task.signal.reason) throw error;
    if (gpu.stream.discards > discards) sums.revert();
    await gpu.stream.uninterrupted(() => sums.collect());
    await task.save?.({ round, slot: sums.next }, sums.collected);
    return { scores: undefined, sums: values, images };
  } finally {
    sums.release();
  }
  return { scores: scoresOf(tree, metric, values), sums: values, images };
}

/**
 * Scores of a tree's candidates from complete sums, [candidates, places]; NaN for features that were not finite.
 *
 * @param sums [slots, components]
 */
export function scoresOf(
  { places, candidates, candidateSlots }: PrefixTree,
  format: TableFormat,
  sums: Float64Array,
): number[][] {
  const ofSlot = (slot: number) => slotScore(format, sums, slot);
  return candidates.map((_, candidate) =>
    Array.from(candidateSlots.subarray(candidate * places.length, (candidate + 1) * places.length), ofSlot)
  );
}

async function walkRound(
  task: SearchTask,
  bounds: readonly (readonly [first: number, end: number])[],
  sums: ScoreSums,
  round: number,
): Promise<void> {
  const { gpu, student, teacher, tree, metric, mode, signal } = task;
  const { space } = teacher.network;
  signal.throwIfAborted();
  const images: Tensor[] = [];
  for (const [first, end] of bounds) images.push(await task.load(first, end));
  const teacherRunner = new NetworkRunner(teacher, images, mode);
  const teachers = prepareTeachers(teacherRunner, space.max, metric, tree);
  teacherRunner.release();
  const runner = new NetworkRunner(student, images, mode);
  let lastSave = performance.now();
  try {
    await walkTree({
      tree,
      runner,
      teachers,
      sums,
      pace: new Pace(gpu, signal),
      async onBlock(finished) {
        task.onBlock?.();
        if (finished) sums.settle();
        if (!finished || !task.save || performance.now() - lastSave < millisecondsBetweenSaves) return;
        await sums.collect();
        await task.save({ round, slot: sums.next }, sums.collected);
        lastSave = performance.now();
      },
    });
  } finally {
    runner.release();
    releaseTeachers(teachers);
    for (const tensor of images) tensor.release();
  }
}
