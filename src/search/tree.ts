/**
 * The prefix tree of candidates. With batch statistics, what a subnet computes up to a stage depends on its choices up to
 * there alone, and the blocks of depth d are the first d of any deeper stage of the same width. So all candidates that
 * begin alike share that beginning: it is computed once, and its features are scored once.
 */
import type { Architecture } from "../space/architecture.ts";
import { partMacs } from "../space/cost.ts";
import type { SearchSpace } from "../space/search_space.ts";
import type { Place } from "./places.ts";

/** A stem of one width. */
export interface StemNode {
  readonly width: number;
  readonly stages: StageNode[];
  /** One behind the last slot below. */
  end: number;
}

/** A stage of one width behind one prefix. */
export interface StageNode {
  readonly width: number;
  /** The depths at which candidates leave it, ascending. */
  readonly exits: StageExit[];
  /** One behind the last slot below. */
  end: number;
}

/** Where candidates leave a stage: the place of its features, and the next stages. */
export interface StageExit {
  readonly depth: number;
  /** Slot of the first place of this stage; the others follow. */
  readonly first: number;
  readonly next: StageNode[];
  /** One behind the last slot below. */
  end: number;
}

/** How much work there is for one batch of images: shared, and if each candidate were run alone. */
export interface TreeWork {
  /** Runs of a residual block. */
  readonly blocks: { readonly tree: number; readonly alone: number };
  /** MACs for one image. */
  readonly macs: { readonly tree: number; readonly alone: number };
}

/** Candidates, arranged by their beginnings. Stages behind the last place are left out. */
export interface PrefixTree {
  /** In the order of the walk. */
  readonly candidates: readonly Architecture[];
  readonly places: readonly Place[];
  readonly stems: readonly StemNode[];
  /** Places of each stage that is run. */
  readonly stagePlaces: readonly (readonly Place[])[];
  /** Number of scores to be taken, one for each place behind each prefix, numbered in the order of the walk. */
  readonly slots: number;
  /** [candidates, places]: the slot of each candidate's score at each place. */
  readonly candidateSlots: Uint32Array;
}

/** Order of stem, width 1, depth 1, width 2, …: the order of a depth-first walk. */
function compareArchitectures(a: Architecture, b: Architecture): number {
  if (a.stem !== b.stem) return a.stem - b.stem;
  for (let stage = 0; stage < a.widths.length; stage++) {
    const difference = a.widths[stage] - b.widths[stage] || a.depths[stage] - b.depths[stage];
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Arranges candidates.
 *
 * @param candidates different architectures of one space, in any order
 * @param places in the order of a forward pass, at least one
 */
export function buildTree(candidates: readonly Architecture[], places: readonly Place[]): PrefixTree {
  const stages = 1 + Math.max(...places.map(({ stage }) => stage));
  const stagePlaces = Array.from(
    { length: stages },
    (_, stage) => places.filter((place) => place.stage === stage),
  );
  const ordered = candidates.toSorted(compareArchitectures);
  const candidateSlots = new Uint32Array(ordered.length * places.length);
  const stems: StemNode[] = [];
  let slots = 0;
  ordered.forEach(({ stem, widths, depths }, candidate) => {
    const root = lastOr(stems, ({ width }) => width === stem, () => ({ width: stem, stages: [], end: 0 }));
    const path: { end: number }[] = [root];
    let siblings = root.stages;
    let column = candidate * places.length;
    for (let stage = 0; stage < stages; stage++) {
      const node = lastOr(
        siblings,
        ({ width }) => width === widths[stage],
        (): StageNode => ({ width: widths[stage], exits: [], end: 0 }),
      );
      const exit = lastOr(node.exits, ({ depth }) => depth === depths[stage], (): StageExit => {
        const first = slots;
        slots += stagePlaces[stage].length;
        return { depth: depths[stage], first, next: [], end: 0 };
      });
      stagePlaces[stage].forEach((_, index) => candidateSlots[column++] = exit.first + index);
      path.push(node, exit);
      siblings = exit.next;
    }
    for (const node of path) node.end = slots;
  });
  return { candidates: ordered, places, stems, stagePlaces, slots, candidateSlots };
}

/** The last element if it fits, else a new one at the end. In a sorted order no other element can fit. */
function lastOr<T>(list: T[], fits: (element: T) => boolean, create: () => T): T {
  const last = list.at(-1);
  if (last !== undefined && fits(last)) return last;
  const created = create();
  list.push(created);
  return created;
}

/**
 * Counts the work of a tree.
 *
 * @param imageSize side of the square image, in pixels
 */
export function countWork(space: SearchSpace, imageSize: number, tree: PrefixTree): TreeWork {
  const cost = partMacs(space, imageSize);
  const shared = { blocks: 0, macs: 0 };
  const addStage = (node: StageNode, stage: number, incoming: number): void => {
    const deepest = node.exits[node.exits.length - 1].depth;
    shared.blocks += deepest;
    shared.macs += cost.stage(stage, incoming, node.width, deepest);
    for (const exit of node.exits) {
      for (const next of exit.next) addStage(next, stage + 1, node.width * space.expansion);
    }
  };
  for (const stem of tree.stems) {
    shared.macs += cost.stem(stem.width);
    for (const node of stem.stages) addStage(node, 0, stem.width);
  }
  const stages = tree.stagePlaces.length;
  const alone = { blocks: 0, macs: 0 };
  for (const { stem, widths, depths } of tree.candidates) {
    alone.macs += cost.stem(stem);
    let incoming = stem;
    for (let stage = 0; stage < stages; stage++) {
      alone.blocks += depths[stage];
      alone.macs += cost.stage(stage, incoming, widths[stage], depths[stage]);
      incoming = widths[stage] * space.expansion;
    }
  }
  return {
    blocks: { tree: shared.blocks, alone: alone.blocks },
    macs: { tree: shared.macs, alone: alone.macs },
  };
}

/** Blocks that a walk still runs for one set of batches, from a slot on; see {@linkcode PrefixTree.slots}. */
export function remainingBlocks(tree: PrefixTree, slot: number): number {
  const ofStages = (nodes: readonly StageNode[]): number =>
    nodes.reduce((sum, { end, exits }) => {
      if (end <= slot) return sum;
      const behind = exits.reduce((blocks, { next }) => blocks + ofStages(next), 0);
      return sum + exits[exits.length - 1].depth + behind;
    }, 0);
  return tree.stems.reduce((sum, { stages }) => sum + ofStages(stages), 0);
}
