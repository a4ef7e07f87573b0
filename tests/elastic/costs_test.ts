import { assert, assertEquals } from "@std/assert";
import { groupsByMacs, macs, parameters, roundGroupSize } from "../../src/elastic/costs.ts";
import { tapShapes } from "../../src/elastic/network.ts";
import { parseArchitecture } from "../../src/elastic/resnet_architecture.ts";
import { SearchSpace, type SpaceDefinition } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { published, resnet18, small } from "./spaces.ts";

const networkOf = (definition: SpaceDefinition) => new ElasticResNet(new SearchSpace(definition));
const paper = networkOf(published);
/** Side of the map at each tap. */
const sides = (network: ElasticResNet, imageSize: number) =>
  [...tapShapes(network, network.space.max, imageSize).values()].map(([, , height]) => height);

Deno.test("costs of the published space at 224x224", () => {
  const giga = (name: string) => (macs(paper, paper.space.resolve(name), 224) / 1e9).toFixed(4);
  const millions = (name: string) => (parameters(paper, paper.space.resolve(name)) / 1e6).toFixed(3);
  assertEquals(["min", "r50", "r77", "r101", "max"].map(giga), [
    "1.6654",
    "4.0871",
    "6.0524",
    "7.7994",
    "15.5120",
  ]);
  assertEquals(["min", "r50", "max"].map(millions), ["9.733", "23.508", "84.785"]);
});

Deno.test("costs of torchvision's ResNets, without their classifiers of 1000 classes", () => {
  assertEquals(parameters(paper, paper.space.resolve("r50")), 25_557_032 - (2048 * 1000 + 1000));
  assertEquals(parameters(paper, paper.space.resolve("r101")), 44_549_160 - (2048 * 1000 + 1000));
  const network = networkOf(resnet18);
  const { space } = network;
  assertEquals(parameters(network, space.max), 11_689_512 - (512 * 1000 + 1000));
  assertEquals(macs(network, space.max, 224), 1_814_073_344 - 512 * 1000);
});

Deno.test("architectures per group of 1 GMAC in the published space", () => {
  const counts = [34, 1986, 8597, 14504, 15651, 12033, 9142, 7566, 5245, 3680, 3212, 2459, 986, 189, 9];
  assertEquals(
    groupsByMacs(paper, 224, 1e9),
    counts.map((count, index) => ({ from: (index + 1) * 1e9, to: (index + 2) * 1e9, count })),
  );
});

Deno.test("groups agree with enumeration, and empty ones are left out", () => {
  const network = networkOf(small);
  const { space } = network;
  for (const groupSize of [1, 7_777, 50_000, 1e9]) {
    const counts = new Map<number, number>();
    for (const architecture of space.enumerate()) {
      const index = Math.floor(macs(network, architecture, 15) / groupSize);
      counts.set(index, (counts.get(index) ?? 0) + 1);
    }
    const expected = [...counts].sort(([a], [b]) => a - b)
      .map(([index, count]) => ({ from: index * groupSize, to: (index + 1) * groupSize, count }));
    assertEquals(groupsByMacs(network, 15, groupSize), expected);
  }
});

Deno.test("a small network counted by hand, at an odd image size", () => {
  const network = networkOf(small);
  assertEquals(sides(network, 15), [15, 8]);
  const architecture = parseArchitecture("4-8.12-2.1");
  const stem = 3 * 4 * 9 * 225;
  const first = (4 * 8 * 9 + 8 * 8 * 9 + 4 * 8 + 2 * 8 * 8 * 9) * 225;
  const second = (8 * 12 * 9 + 12 * 12 * 9 + 8 * 12) * 64;
  assertEquals(macs(network, architecture, 15), stem + first + second);
  const weights = 3 * 4 * 9 + 4 * 8 * 9 + 3 * 8 * 8 * 9 + 4 * 8 + 8 * 12 * 9 + 12 * 12 * 9 + 8 * 12;
  const norms = 2 * (4 + 8 * 5 + 12 * 3);
  assertEquals(parameters(network, architecture), weights + norms);
});

Deno.test("sides of the maps behind the 7x7 stem", () => {
  assertEquals(sides(paper, 224), [56, 28, 14, 7]);
  assertEquals(sides(paper, 225), [57, 29, 15, 8]);
  assertEquals(sides(paper, 32), [8, 4, 2, 1]);
});

Deno.test("the round group size is 1 GMAC for the published space and gives few groups elsewhere", () => {
  assertEquals(roundGroupSize(paper, 224), 1e9);
  const network = networkOf(small);
  const { space } = network;
  const size = roundGroupSize(network, 32);
  assert(/^[125]0*$/.test(String(size)));
  const groups = groupsByMacs(network, 32, size);
  assert(groups.at(-1)!.to - groups[0].from <= 16 * size);
  assertEquals(groups.reduce((sum, group) => sum + group.count, 0), space.size);
});
