import { assert, assertEquals } from "@std/assert";
import { choosePlaces } from "../../src/search/places.ts";
import { buildTree, countWork, remainingBlocks } from "../../src/search/tree.ts";
import { formatArchitecture } from "../../src/space/architecture.ts";
import { macs } from "../../src/space/cost.ts";
import { SearchSpace } from "../../src/space/search_space.ts";
import { published, small } from "../space/spaces.ts";

Deno.test("the published space costs 35.2 T MACs an image in place of 569.8 T", () => {
  const space = new SearchSpace(published);
  const tree = buildTree([...space.enumerate()], choosePlaces(space, "classification", "cosine"));
  const { blocks, macs } = countWork(space, 224, tree);
  assertEquals([macs.tree, macs.alone].map((value) => (value / 1e12).toFixed(1)), ["35.2", "569.8"]);
  assertEquals(tree.slots, 85_293);
  // Three stems, each with 3 widths a stage: 4 blocks, behind 3 depths 6, behind 3 depths 29, behind 13 depths 4.
  const [two, three, four] = [3 * 3, 9 * 9, 9 * 9 * 39];
  assertEquals(blocks.tree, 3 * (3 * 4 + two * 3 * 6 + three * 3 * 29 + four * 3 * 4));
});

Deno.test("each candidate finds the scores of its own prefixes", () => {
  const space = new SearchSpace(small);
  const candidates = [...space.enumerate()];
  const places = choosePlaces(space, "detection", "affinity");
  const tree = buildTree(candidates.toReversed(), places);
  assertEquals(tree.candidates, candidates);
  // Distinct prefixes: a slot each, and no slot twice.
  const owners = new Map<number, string>();
  tree.candidates.forEach(({ stem, widths, depths }, candidate) =>
    places.forEach(({ stage, name }, column) => {
      const prefix = `${name} ${stem} ${widths.slice(0, stage + 1)} ${depths.slice(0, stage + 1)}`;
      const slot = tree.candidateSlots[candidate * places.length + column];
      assertEquals(owners.get(slot) ?? prefix, prefix);
      owners.set(slot, prefix);
    })
  );
  assertEquals(
    [...owners.keys()].sort((a, b) => a - b),
    Array.from({ length: tree.slots }, (_, slot) => slot),
  );
  assertEquals(new Set(owners.values()).size, tree.slots);
});

Deno.test("a tree of one candidate is that candidate alone", () => {
  const space = new SearchSpace(published);
  const r50 = space.resolve("r50");
  const { blocks, macs: counted } = countWork(
    space,
    224,
    buildTree([r50], choosePlaces(space, "detection", "cka")),
  );
  assertEquals(blocks, { tree: 16, alone: 16 });
  assertEquals(counted, { tree: macs(space, r50, 224), alone: macs(space, r50, 224) });
});

Deno.test("stages behind the last place are not run", () => {
  const space = new SearchSpace(published);
  const candidates = [...space.enumerate()].filter(({ stem }) => stem === 32);
  const tree = buildTree(candidates, choosePlaces(space, "detection", "cka", "c2"));
  assertEquals(tree.slots, 9);
  assertEquals(countWork(space, 224, tree).blocks, { tree: 3 * 4, alone: candidates.length * 3 });
});

Deno.test("what remains of a walk falls from all blocks to none", () => {
  const space = new SearchSpace(small);
  const tree = buildTree([...space.enumerate()], choosePlaces(space, "detection", "cka"));
  const { blocks } = countWork(space, 16, tree);
  let before = remainingBlocks(tree, 0);
  assertEquals(before, blocks.tree);
  for (let slot = 1; slot <= tree.slots; slot++) {
    const remaining = remainingBlocks(tree, slot);
    assert(remaining <= before, `${formatArchitecture(space.max)}: ${remaining} blocks from slot ${slot} on`);
    before = remaining;
  }
  assertEquals(before, 0);
});
