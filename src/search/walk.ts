/** The depth-first walk over the prefix tree on one set of image batches. */
import type { Architecture } from "../elastic/architecture.ts";
import { unitsOf } from "../elastic/network.ts";
import { traceMacs, traceUnit } from "../elastic/unit.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Pace } from "./pace.ts";
import type { Place } from "./places.ts";
import type { NetworkRunner, State } from "./runner.ts";
import type { SimilarityMetric } from "./similarity/metric.ts";
import type { PreparedTeacher } from "./similarity/teacher.ts";
import type { ScoreSums } from "./sums.ts";
import type { PrefixTree, TreeNode } from "./tree.ts";

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
  /** Told after each unit that is counted, and whether the device has finished all that was recorded. */
  onBlock(finished: boolean): Promise<void>;
}

/**
 * Prepares the teacher's side: one run of its architecture, up to the last place.
 *
 * @param runner of the teacher
 */
export function prepareTeachers(
  runner: NetworkRunner,
  architecture: Architecture,
  metric: SimilarityMetric,
  { places, segments }: Pick<PrefixTree, "places" | "segments">,
): Teachers {
  const teachers = new Map<Place, PreparedTeacher[]>();
  const { network } = runner.encoder;
  let state = runner.start();
  for (const { unit, tap, segment } of unitsOf(network, architecture)) {
    if (segment >= segments) break;
    const input = state;
    state = runner.run(input, unit);
    runner.releaseState(input);
    if (tap === undefined) continue;
    for (const place of places.filter((one) => one.tap === tap)) {
      const prepared: PreparedTeacher[] = [];
      for (const map of state.compared) {
        runner.withFeatures(map, place, (features) => prepared.push(metric.prepareTeacher(features)));
      }
      teachers.set(place, prepared);
    }
  }
  runner.releaseState(state);
  return teachers;
}

/** Gives the memory of {@linkcode prepareTeachers} back. */
export function releaseTeachers(teachers: Teachers): void {
  for (const prepared of teachers.values()) for (const teacher of prepared) teacher.release();
}

/**
 * Walks the tree and scores every place of it, from the sums' next slot on; what lies before is only run where something
 * behind needs it. A node's maps are kept until the last of its children has been run.
 *
 * @throws the reason of the pace's signal, when it is aborted; the sums are then complete up to their next slot
 */
export async function walkTree(walk: Walk): Promise<void> {
  await walkNodes(walk, walk.tree.roots, walk.runner.start());
}

/** Walks siblings and what is below them, and releases what they start from. */
async function walkNodes(walk: Walk, nodes: readonly TreeNode[], input: State): Promise<void> {
  const { runner, sums, pace } = walk;
  const pending = nodes.filter(({ end }) => end > sums.next);
  if (pending.length === 0) runner.releaseState(input);
  for (const [index, node] of pending.entries()) {
    const state = runner.run(input, node.unit);
    const macs = input.training.reduce(
      (sum, { shape }) => sum + traceMacs(traceUnit(node.unit, shape)),
      0,
    );
    if (index === pending.length - 1) runner.releaseState(input);
    const finished = await pace.after(macs);
    if (node.counted) await walk.onBlock(finished);
    await score(walk, node, state);
    await walkNodes(walk, node.children, state);
  }
}

/** Scores the places of a node that were not scored yet. */
async function score({ runner, teachers, sums }: Walk, node: TreeNode, { compared }: State): Promise<void> {
  for (const { place, slot: expected } of node.scores) {
    if (expected < sums.next) continue;
    const slot = await sums.take();
    let firstImage = 0;
    const accumulate = (map: Tensor, teacher: PreparedTeacher) =>
      runner.withFeatures(
        map,
        place,
        (features) => teacher.accumulate(features, sums.table, slot, firstImage),
      );
    compared.forEach((map, batch) => {
      accumulate(map, teachers.get(place)![batch]);
      firstImage += map.shape[0];
    });
  }
}
