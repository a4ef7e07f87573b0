/**
 * A search in parts, for several devices. Candidates in the order of the walk are cut into runs: such a run is whole
 * subtrees and, at its first candidate, the way to it, which is all that a part computes besides others. Of all ways to
 * cut, one whose largest part has the fewest MACs is taken.
 */
import type { Architecture } from "../elastic/architecture.ts";
import { imageShape } from "../elastic/network.ts";
import { traceMacs, traceUnit } from "../elastic/unit.ts";
import { foldTree, type PrefixTree } from "./tree.ts";

/** One of so many parts of a search. */
export interface ShardOf {
  /** From 0. */
  readonly index: number;
  readonly count: number;
}

/** A shard as it is written: `0/4`. */
export function formatShard({ index, count }: ShardOf): string {
  return `${index}/${count}`;
}

/** Where candidates end, with the MACs for one image. */
interface Ending {
  /** The slot of their last place. */
  readonly slot: number;
  /** All that leads there. */
  readonly way: number;
  /** What of that the ending before does not share. */
  readonly added: number;
}

/** Endings in the order of the walk. */
function findEndings(tree: PrefixTree, imageSize: number): Ending[] {
  const last = tree.places.at(-1)!;
  const endings: Ending[] = [];
  // The least that the walk came back to since the last ending: what the next one shares with it.
  let shared = 0;
  foldTree(tree, { shape: imageShape(tree.network, imageSize), way: 0 }, ({ unit, scores }, before) => {
    shared = Math.min(shared, before.way);
    const trace = traceUnit(unit, before.shape);
    const way = before.way + traceMacs(trace);
    const score = scores.find(({ place }) => place === last);
    if (score) {
      endings.push({ slot: score.slot, way, added: way - shared });
      shared = way;
    }
    return { shape: trace.output, way };
  });
  return endings;
}

/** The first ending of each part, where none has more MACs than the capacity, which each single one fits in. */
function cutAt(endings: readonly Ending[], capacity: number): number[] {
  const firsts: number[] = [];
  let load = Infinity;
  endings.forEach(({ way, added }, at) => {
    load += added;
    if (load <= capacity) return;
    firsts.push(at);
    load = way;
  });
  return firsts;
}

/** The fewest MACs that the largest of so many parts can have. */
function smallestCapacity(endings: readonly Ending[], parts: number): number {
  let least = Math.max(...endings.map(({ way }) => way));
  let most = endings.reduce((sum, { added }) => sum + added, 0);
  while (least < most) {
    const middle = Math.floor((least + most) / 2);
    if (cutAt(endings, middle).length <= parts) most = middle;
    else least = middle + 1;
  }
  return most;
}

/**
 * Splits the candidates of a tree. The same tree gives the same parts.
 *
 * @param imageSize side of the square image, in pixels
 * @param parts their number; the last ones are empty where fewer are as fast
 * @returns candidates of each part, in the order of the tree
 */
export function splitCandidates(tree: PrefixTree, imageSize: number, parts: number): Architecture[][] {
  const { candidates, candidateSlots, places } = tree;
  const endings = findEndings(tree, imageSize);
  const firsts = cutAt(endings, smallestCapacity(endings, parts)).map((at) => endings[at].slot);
  const split = Array.from({ length: parts }, (): Architecture[] => []);
  candidates.forEach((candidate, index) => {
    const slot = candidateSlots[(index + 1) * places.length - 1];
    split[firsts.findLastIndex((first) => first <= slot)].push(candidate);
  });
  return split;
}
