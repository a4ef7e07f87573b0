/** Parts of a search: each candidate in one of them, balanced, and little computed twice. */
import { assert, assertEquals } from "@std/assert";
import { formatArchitecture } from "../../src/elastic/architecture.ts";
import { SearchSpace, type SpaceDefinition } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { choosePlaces, type Task } from "../../src/search/places.ts";
import { splitCandidates } from "../../src/search/split.ts";
import { buildTree, countWork, type PrefixTree } from "../../src/search/tree.ts";
import { purpose, Random } from "../../src/random.ts";
import { published, small } from "../elastic/spaces.ts";

function treeOf(definition: SpaceDefinition, task: Task, every = 1): PrefixTree {
  const network = new ElasticResNet(new SearchSpace(definition));
  const candidates = [...network.space.enumerate()].filter((_, at) => at % every === 0);
  return buildTree(network, candidates, choosePlaces(network, task, "cka"));
}

function macsOfParts(tree: PrefixTree, imageSize: number, parts: number): number[] {
  return splitCandidates(tree, imageSize, parts)
    .map((part) => countWork(imageSize, buildTree(tree.network, part, tree.places)).macs.tree);
}

Deno.test("every candidate is in exactly one part, and the same tree is split the same way", () => {
  for (const [definition, every] of [[small, 1], [published, 499]] as const) {
    const tree = treeOf(definition, "detection", every);
    const shuffled = buildTree(tree.network, tree.candidates.toReversed(), tree.places);
    for (const parts of [1, 2, 3, 5, tree.candidates.length + 3]) {
      const split = splitCandidates(tree, 32, parts);
      assertEquals(split.length, parts);
      assertEquals(
        split.flat().map(formatArchitecture).sort(),
        tree.candidates.map(formatArchitecture).sort(),
      );
      assertEquals(splitCandidates(shuffled, 32, parts), split);
    }
  }
});

Deno.test("no other cut into runs has a smaller largest part", () => {
  const tree = treeOf(small, "detection");
  const { candidates, network, places } = tree;
  const order = candidates.map((_, at) => at).sort((a, b) =>
    tree.candidateSlots[(a + 1) * places.length - 1] - tree.candidateSlots[(b + 1) * places.length - 1]
  );
  const load = (first: number, end: number) =>
    countWork(16, buildTree(network, order.slice(first, end).map((at) => candidates[at]), places)).macs.tree;
  const loads = order.map((_, first) => order.map((_, last) => last < first ? 0 : load(first, last + 1)));
  // The least of the largest, by trying every last cut.
  let best = loads[0];
  for (let parts = 2; parts <= 6; parts++) {
    best = order.map((_, last) =>
      Math.min(best[last], ...order.slice(1, last + 1).map((at) => Math.max(best[at - 1], loads[at][last])))
    );
    assertEquals(Math.max(...macsOfParts(tree, 16, parts)), best.at(-1)!, `${parts} parts`);
  }
});

Deno.test("parts of a large space are even, and share nearly all", () => {
  const tree = treeOf(published, "classification");
  const whole = countWork(224, tree).macs.tree;
  for (const parts of [4, 16]) {
    const macs = macsOfParts(tree, 224, parts);
    const overhead = macs.reduce((sum, one) => sum + one, 0) / whole - 1;
    assert(overhead >= 0 && overhead < 0.005, `${parts} parts compute ${overhead} more`);
    const largest = Math.max(...macs) * parts / whole;
    assert(largest < 1.005, `the largest of ${parts} parts has ${largest} of an equal share`);
  }
});

Deno.test("candidates without a difference up to the last place stay together", () => {
  const network = new ElasticResNet(new SearchSpace(small));
  const random = new Random(4, purpose.test, 1);
  const candidates = [...network.space.enumerate()].filter(() => random.uniform(0, 1) < 0.7);
  const tree = buildTree(network, candidates, choosePlaces(network, "detection", "cka", "c2"));
  for (const part of splitCandidates(tree, 16, 3)) {
    const prefix = ({ choices }: { choices: readonly number[] }) => `${choices.slice(0, 3)}`;
    const own = new Set(part.map(prefix));
    assertEquals(candidates.filter((one) => own.has(prefix(one))).length, part.length);
  }
});
