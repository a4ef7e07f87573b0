/**
 * The prefix tree of candidates. With batch statistics, what a subnet computes up to a unit depends on the units up to
 * there alone. So all candidates whose lists of unit keys begin alike share that beginning: it is computed once, and its
 * features are scored once.
 */
import type { Architecture } from "../elastic/architecture.ts";
import { macs } from "../elastic/costs.ts";
import { choicesBySegment, imageShape, unitsOfSegment } from "../elastic/network.ts";
import { traceMacs, traceUnit } from "../elastic/unit.ts";
import type { NetworkUnit } from "../nn/layers.ts";
import type { Network } from "../nn/network.ts";
import type { Place } from "./places.ts";

/** A score to be taken of a node's output. */
export interface TreeScore {
  readonly place: Place;
  /** Its number in the order of the walk. */
  slot: number;
}

/** A unit behind one prefix. */
export interface TreeNode {
  readonly unit: NetworkUnit;
  /** Whether progress counts it: units of segments without a tap, as a stem's, are not. */
  readonly counted: boolean;
  /** Where candidates leave the segment: the places of its tap. */
  readonly scores: TreeScore[];
  /** What follows, in the order of the candidates. */
  readonly children: TreeNode[];
  /** The slot after the last of this node and of those that follow it. */
  end: number;
}

/** How much work there is for one batch of images: shared, and if each candidate were run alone. */
export interface TreeWork {
  /** Runs of a unit that is counted, a residual block say. */
  readonly blocks: { readonly tree: number; readonly alone: number };
  /** MACs for one image. */
  readonly macs: { readonly tree: number; readonly alone: number };
}

/** Candidates, arranged by their beginnings. Segments behind the last place are left out. */
export interface PrefixTree {
  readonly network: Network;
  /** In the order of their choices, which is that of the walk. */
  readonly candidates: readonly Architecture[];
  readonly places: readonly Place[];
  readonly roots: readonly TreeNode[];
  /** Number of segments that are run. */
  readonly segments: number;
  /** Number of scores to be taken, one for each place behind each prefix, numbered in the order of the walk. */
  readonly slots: number;
  /** [candidates, places]: the slot of each candidate's score at each place. */
  readonly candidateSlots: Uint32Array;
}

/** The order of a depth-first walk. */
function compareArchitectures(a: Architecture, b: Architecture): number {
  for (let dimension = 0; dimension < a.choices.length; dimension++) {
    const difference = a.choices[dimension] - b.choices[dimension];
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A node in the making, with what follows by what leads there. */
interface Branch {
  readonly node: TreeNode;
  /** By the unit's key. */
  readonly byKey: Map<string, Branch>;
  /** Behind all units of the next segment, by its number and choices. */
  readonly bySegment: Map<string, Branch>;
}

/** Segments that must be run for some places, from the first on. */
export function segmentsFor({ segments }: Network, places: readonly Place[]): number {
  return 1 + segments.findLastIndex(({ tap }) => places.some((place) => place.tap === tap));
}

/**
 * Arranges candidates.
 *
 * @param candidates different architectures of the network, in any order
 * @param places in the order of a forward pass, at least one
 */
export function buildTree(
  network: Network,
  candidates: readonly Architecture[],
  places: readonly Place[],
): PrefixTree {
  const segments = segmentsFor(network, places);
  const ordered = candidates.toSorted(compareArchitectures);
  const builder = new TreeBuilder(network, places);
  const scores = ordered.flatMap((candidate) => builder.add(candidate, segments));
  const roots = builder.root.node.children;
  let slots = 0;
  const number = (node: TreeNode): void => {
    for (const score of node.scores) score.slot = slots++;
    node.children.forEach(number);
    node.end = slots;
  };
  roots.forEach(number);
  const candidateSlots = Uint32Array.from(scores, ({ slot }) => slot);
  return { network, candidates: ordered, places, roots, segments, slots, candidateSlots };
}

class TreeBuilder {
  readonly root: Branch;
  /** Units of each segment by its choices. */
  readonly #units = new Map<string, readonly NetworkUnit[]>();

  constructor(readonly network: Network, readonly places: readonly Place[]) {
    this.root = branch({ key: "", layers: [], forward: (_, input) => input }, false);
  }

  /** Adds a candidate; the scores of its outputs at the places, in their order. */
  add(candidate: Architecture, segments: number): TreeScore[] {
    let at = this.root;
    const scores: TreeScore[] = [];
    choicesBySegment(this.network, candidate).slice(0, segments).forEach((choices, segment) => {
      const key = `${segment}: ${choices}`;
      let end = at.bySegment.get(key);
      if (!end) at.bySegment.set(key, end = this.#addSegment(at, segment, choices, key));
      at = end;
      const { tap } = this.network.segments[segment];
      if (tap !== undefined) scores.push(...at.node.scores.filter(({ place }) => place.tap === tap));
    });
    return scores;
  }

  #addSegment(from: Branch, segment: number, choices: readonly number[], key: string): Branch {
    const { network } = this;
    const { tap } = network.segments[segment];
    let units = this.#units.get(key);
    if (!units) this.#units.set(key, units = unitsOfSegment(network, segment, choices));
    let at = from;
    for (const unit of units) {
      let next = at.byKey.get(unit.key);
      if (!next) {
        at.byKey.set(unit.key, next = branch(unit, tap !== undefined));
        at.node.children.push(next.node);
      }
      at = next;
    }
    const { scores } = at.node;
    if (scores.length === 0) {
      scores.push(...this.places.filter((place) => place.tap === tap).map((place) => ({ place, slot: 0 })));
    }
    return at;
  }
}

function branch(unit: NetworkUnit, counted: boolean): Branch {
  const node: TreeNode = { unit, counted, scores: [], children: [], end: 0 };
  return { node, byKey: new Map(), bySegment: new Map() };
}

/**
 * Makes a value for each node, in the order of the walk, out of that of the node before it.
 *
 * @param start what roots begin with
 */
export function foldTree<T>(tree: PrefixTree, start: T, visit: (node: TreeNode, before: T) => T): void {
  const walk = (nodes: readonly TreeNode[], before: T): void => {
    for (const node of nodes) walk(node.children, visit(node, before));
  };
  walk(tree.roots, start);
}

/**
 * Counts the work of a tree.
 *
 * @param imageSize side of the square image, in pixels
 */
export function countWork(imageSize: number, tree: PrefixTree): TreeWork {
  const { network, segments } = tree;
  const shared = { blocks: 0, macs: 0 };
  foldTree(tree, imageShape(network, imageSize), ({ unit, counted }, input) => {
    const trace = traceUnit(unit, input);
    shared.blocks += counted ? 1 : 0;
    shared.macs += traceMacs(trace);
    return trace.output;
  });
  const lengths = new Map<string, number>();
  const length = (segment: number, choices: readonly number[]): number => {
    const key = `${segment}: ${choices}`;
    let known = lengths.get(key);
    if (known === undefined) lengths.set(key, known = unitsOfSegment(network, segment, choices).length);
    return known;
  };
  const alone = { blocks: 0, macs: 0 };
  for (const candidate of tree.candidates) {
    alone.macs += macs(network, candidate, imageSize, segments);
    choicesBySegment(network, candidate).slice(0, segments).forEach((choices, segment) => {
      if (network.segments[segment].tap !== undefined) alone.blocks += length(segment, choices);
    });
  }
  return {
    blocks: { tree: shared.blocks, alone: alone.blocks },
    macs: { tree: shared.macs, alone: alone.macs },
  };
}

/** Counted units that a walk still runs for one set of batches, from a slot on; see {@linkcode PrefixTree.slots}. */
export function remainingBlocks(tree: PrefixTree, slot: number): number {
  const count = (nodes: readonly TreeNode[]): number =>
    nodes.reduce(
      (sum, { end, counted, children }) => end <= slot ? sum : sum + (counted ? 1 : 0) + count(children),
      0,
    );
  return count(tree.roots);
}
