/** The depth-first walk over the prefix tree on one set of image batches. */
import type { Tensor } from "../tensor/tensor.ts";
import type { Pace } from "./pace.ts";
import type { Place } from "./places.ts";
import type { NetworkRunner, State } from "./runner.ts";
import type { PreparedTeacher, SimilarityMetric } from "./similarity/metric.ts";
import type { ScoreSums } from "./sums.ts";
import type { PrefixTree, StageExit, StageNode } from "./tree.ts";
import type { Architecture } from "../space/architecture.ts";
import type { PartMacs } from "../space/cost.ts";

/** The teacher's side of each place, for each image batch. */
export type Teachers = ReadonlyMap<Place, readonly PreparedTeacher[]>;

/** What a walk needs besides the tree. */
export interface Walk {
  readonly tree: PrefixTree;
  /** Runs the candidates. */
  readonly runner: NetworkRunner;
  readonly teachers: Teachers;
  readonly sums: ScoreSums;
  readonly pace: Pace;
  readonly macs: PartMacs;
  /** Told after each block, and whether the device has finished all that was recorded. */
  onBlock(finished: boolean): Promise<void>;
}

/**
 * Prepares the teacher's side: one run of its architecture.
 *
 * @param runner of the teacher
 */
export function prepareTeachers(
  runner: NetworkRunner,
  { stem, widths, depths }: Architecture,
  metric: SimilarityMetric,
  stagePlaces: readonly (readonly Place[])[],
): Teachers {
  const teachers = new Map<Place, PreparedTeacher[]>();
  let state = runner.stem(stem);
  stagePlaces.forEach((places, stage) => {
    for (let index = 0; index < depths[stage]; index++) {
      const input = state;
      state = runner.block(input, stage, index, widths[stage]);
      runner.release(input);
    }
    for (const place of places) {
      const prepared: PreparedTeacher[] = [];
      for (const map of state.compared) {
        runner.withFeatures(map, place, (features) => prepared.push(metric.prepareTeacher(features)));
      }
      teachers.set(place, prepared);
    }
  });
  runner.release(state);
  return teachers;
}

/** Gives the memory of {@linkcode prepareTeachers} back. */
export function releaseTeachers(teachers: Teachers): void {
  for (const prepared of teachers.values()) for (const teacher of prepared) teacher.release();
}

/**
 * Walks the tree and scores every place of it, from the sums' next slot on; what lies before is only run where something
 * behind needs it. One map a level is kept for each image batch.
 *
 * @throws the reason of the pace's signal, when it is aborted; the sums are then complete up to their next slot
 */
export async function walkTree(walk: Walk): Promise<void> {
  const { tree, runner, sums } = walk;
  for (const { width, stages, end } of tree.stems) {
    if (end <= sums.next) continue;
    const state = runner.stem(width);
    await walk.pace.after(walk.macs.stem(width) * imagesOf(state));
    for (const node of stages) await walkStage(walk, node, 0, state, width);
    runner.release(state);
  }
}

function imagesOf({ training }: State): number {
  return training.reduce((sum, { shape }) => sum + shape[0], 0);
}

/** @param incoming channels that enter the stage */
async function walkStage(
  walk: Walk,
  node: StageNode,
  stage: number,
  input: State,
  incoming: number,
): Promise<void> {
  const { runner, sums, pace, macs } = walk;
  if (node.end <= sums.next) return;
  const { width } = node;
  const images = imagesOf(input);
  let state = input;
  let depth = 0;
  for (const exit of node.exits) {
    for (; depth < exit.depth; depth++) {
      const before = state;
      state = runner.block(before, stage, depth, width);
      if (before !== input) runner.release(before);
      const cost = macs.stage(stage, incoming, width, depth + 1) -
        (depth > 0 ? macs.stage(stage, incoming, width, depth) : 0);
      await walk.onBlock(await pace.after(cost * images));
    }
    if (exit.end <= sums.next) continue;
    await score(walk, exit, stage, state);
    const outgoing = state.compared[0].shape[1];
    for (const next of exit.next) await walkStage(walk, next, stage + 1, state, outgoing);
  }
  runner.release(state);
}

/** Scores the places of a stage that were not scored yet. */
async function score(
  { tree, runner, teachers, sums }: Walk,
  exit: StageExit,
  stage: number,
  { compared }: State,
): Promise<void> {
  const places = tree.stagePlaces[stage];
  for (let index = Math.max(0, sums.next - exit.first); index < places.length; index++) {
    const place = places[index];
    const slot = await sums.take();
    const accumulate = (map: Tensor, teacher: PreparedTeacher) =>
      runner.withFeatures(map, place, (features) => teacher.accumulate(features, sums.table, slot));
    compared.forEach((map, batch) => accumulate(map, teachers.get(place)![batch]));
  }
}
