import { assert, assertEquals } from "@std/assert";
import { choosePlaces } from "../../src/search/places.ts";
import { buildTree, countWork, remainingBlocks } from "../../src/search/tree.ts";
import { formatArchitecture } from "../../src/elastic/architecture.ts";
import { macs } from "../../src/elastic/costs.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { published, small } from "../elastic/spaces.ts";

Deno.test("the published space costs 35.2 T MACs an image in place of 569.8 T", () => {
  const network = new ElasticResNet(new SearchSpace(published));
  const { space } = network;
  const tree = buildTree(network, [...space.enumerate()], choosePlaces(network, "classification", "cosine"));
  const { blocks, macs } = countWork(224, tree);
  assertEquals([macs.tree, macs.alone].map((value) => (value / 1e12).toFixed(1)), ["35.2", "569.8"]);
  assertEquals(tree.slots, 85_293);
  // Three stems, each with 3 widths a stage: 4 blocks, behind 3 depths 6, behind 3 depths 29, behind 13 depths 4.
  const [two, three, four] = [3 * 3, 9 * 9, 9 * 9 * 39];
  assertEquals(blocks.tree, 3 * (3 * 4 + two * 3 * 6 + three * 3 * 29 + four * 3 * 4));
});

Deno.test("each candidate finds the scores of its own prefixes", () => {
  const network = new ElasticResNet(new SearchSpace(small));
  const { space } = network;
  const candidates = [...space.enumerate()];
  const places = choosePlaces(network, "detection", "affinity");
  const tree = buildTree(network, candidates.toReversed(), places);
  assertEquals(tree.candidates, candidates);
  // Distinct prefixes: a slot each, and no slot twice.
  const owners = new Map<number, string>();
  tree.candidates.forEach(({ choices }, candidate) =>
    places.forEach(({ tap, name }, column) => {
      const prefix = `${name} ${choices.slice(0, tap === "c2" ? 3 : 5)}`;
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
  const network = new ElasticResNet(new SearchSpace(published));
  const { space } = network;
  const r50 = space.resolve("r50");
  const { blocks, macs: counted } = countWork(
    224,
    buildTree(network, [r50], choosePlaces(network, "detection", "cka")),
  );
  assertEquals(blocks, { tree: 16, alone: 16 });
  assertEquals(counted, { tree: macs(network, r50, 224), alone: macs(network, r50, 224) });
});

Deno.test("stages behind the last place are not run", () => {
  const network = new ElasticResNet(new SearchSpace(published));
  const { space } = network;
  const candidates = [...space.enumerate()].filter(({ stem }) => stem === 32);
  const tree = buildTree(network, candidates, choosePlaces(network, "detection", "cka", "c2"));
  assertEquals(tree.slots, 9);
  assertEquals(countWork(224, tree).blocks, { tree: 3 * 4, alone: candidates.length * 3 });
});

Deno.test("what remains of a walk falls from all blocks to none", () => {
  const network = new ElasticResNet(new SearchSpace(small));
  const { space } = network;
  const tree = buildTree(network, [...space.enumerate()], choosePlaces(network, "detection", "cka"));
  const { blocks } = countWork(16, tree);
  let before = remainingBlocks(tree, 0);
  assertEquals(before, blocks.tree);
  for (let slot = 1; slot <= tree.slots; slot++) {
    const remaining = remainingBlocks(tree, slot);
    assert(remaining <= before, `${formatArchitecture(space.max)}: ${remaining} blocks from slot ${slot} on`);
    before = remaining;
  }
  assertEquals(before, 0);
});
