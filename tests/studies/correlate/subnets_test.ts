import { assert, assertEquals, assertThrows } from "@std/assert";
import { spreadSubnets } from "../../../src/studies/correlate/subnets.ts";
import { macs } from "../../../src/elastic/costs.ts";
import { SearchSpace } from "../../../src/elastic/search_space.ts";
import { UsageError } from "../../../src/errors.ts";
import { ElasticResNet } from "../../../src/nn/resnet.ts";

const network = new ElasticResNet(
  new SearchSpace({
    block: "basic",
    stem: { kind: "3x3", widths: [4, 8] },
    widths: [[4, 8], [4, 8, 16], [4, 16, 32], [4, 16, 64]],
    depths: [[1], [1], [1], [1]],
    strides: [1, 2, 2, 2],
  }),
);
const ids = (count: number, seed = 1) => spreadSubnets(network, count, 32, seed).map(({ id }) => id);

Deno.test("subnets are spread: smallest, largest, and no gap much wider than a range", () => {
  const chosen = spreadSubnets(network, 12, 32, 1);
  const costs = chosen.map((one) => macs(network, one, 32));
  assertEquals(chosen.length, 12);
  assertEquals(chosen[0].id, network.space.min.id);
  assertEquals(chosen.at(-1)!.id, network.space.max.id);
  assertEquals(costs, costs.toSorted((a, b) => a - b));
  assertEquals(new Set(chosen.map(({ id }) => id)).size, 12);
  const range = (costs.at(-1)! - costs[0]) / 10;
  for (let at = 1; at < costs.length; at++) assert(costs[at] - costs[at - 1] <= 2.5 * range);
});

Deno.test("the same seed chooses the same subnets, another others; a small space is taken whole", () => {
  assertEquals(ids(12), ids(12));
  assert(ids(12).join() !== ids(12, 2).join());
  assertEquals(ids(108).length, 108);
  assertEquals(ids(1000).length, 108);
  assertEquals(ids(107).length, 107);
  assertEquals(ids(2), [network.space.min.id, network.space.max.id]);
  assertThrows(() => ids(1), UsageError);
});
