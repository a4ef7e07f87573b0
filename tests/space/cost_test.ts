import { assert, assertEquals } from "@std/assert";
import { parseArchitecture } from "../../src/space/architecture.ts";
import { featureSides, groupsByMacs, macs, parameters, roundGroupSize } from "../../src/space/cost.ts";
import { SearchSpace } from "../../src/space/search_space.ts";
import { published, resnet18, small } from "./spaces.ts";

const paper = new SearchSpace(published);

Deno.test("costs of the published space at 224x224", () => {
  const giga = (name: string) => (macs(paper, paper.resolve(name), 224) / 1e9).toFixed(4);
  const millions = (name: string) => (parameters(paper, paper.resolve(name)) / 1e6).toFixed(3);
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
  assertEquals(parameters(paper, paper.resolve("r50")), 25_557_032 - (2048 * 1000 + 1000));
  assertEquals(parameters(paper, paper.resolve("r101")), 44_549_160 - (2048 * 1000 + 1000));
  const space = new SearchSpace(resnet18);
  assertEquals(parameters(space, space.max), 11_689_512 - (512 * 1000 + 1000));
  assertEquals(macs(space, space.max, 224), 1_814_073_344 - 512 * 1000);
});

Deno.test("architectures per group of 1 GMAC in the published space", () => {
  const counts = [34, 1986, 8597, 14504, 15651, 12033, 9142, 7566, 5245, 3680, 3212, 2459, 986, 189, 9];
  assertEquals(
    groupsByMacs(paper, 224, 1e9),
    counts.map((count, index) => ({ from: (index + 1) * 1e9, to: (index + 2) * 1e9, count })),
  );
});

Deno.test("groups agree with enumeration, and empty ones are left out", () => {
  const space = new SearchSpace(small);
  for (const groupSize of [1, 7_777, 50_000, 1e9]) {
    const counts = new Map<number, number>();
    for (const architecture of space.enumerate()) {
      const index = Math.floor(macs(space, architecture, 15) / groupSize);
      counts.set(index, (counts.get(index) ?? 0) + 1);
    }
    const expected = [...counts].sort(([a], [b]) => a - b)
      .map(([index, count]) => ({ from: index * groupSize, to: (index + 1) * groupSize, count }));
    assertEquals(groupsByMacs(space, 15, groupSize), expected);
  }
});

Deno.test("a small network counted by hand, at an odd image size", () => {
  const space = new SearchSpace(small);
  assertEquals(featureSides(space, 15), [15, 15, 8]);
  const architecture = parseArchitecture("4-8.12-2.1");
  const stem = 3 * 4 * 9 * 225;
  const first = (4 * 8 * 9 + 8 * 8 * 9 + 4 * 8 + 2 * 8 * 8 * 9) * 225;
  const second = (8 * 12 * 9 + 12 * 12 * 9 + 8 * 12) * 64;
  assertEquals(macs(space, architecture, 15), stem + first + second);
  const weights = 3 * 4 * 9 + 4 * 8 * 9 + 3 * 8 * 8 * 9 + 4 * 8 + 8 * 12 * 9 + 12 * 12 * 9 + 8 * 12;
  const norms = 2 * (4 + 8 * 5 + 12 * 3);
  assertEquals(parameters(space, architecture), weights + norms);
});

Deno.test("feature sides of the 7x7 stem", () => {
  assertEquals(featureSides(paper, 224), [56, 56, 28, 14, 7]);
  assertEquals(featureSides(paper, 225), [57, 57, 29, 15, 8]);
  assertEquals(featureSides(paper, 32), [8, 8, 4, 2, 1]);
});

Deno.test("the round group size is 1 GMAC for the published space and gives few groups elsewhere", () => {
  assertEquals(roundGroupSize(paper, 224), 1e9);
  const space = new SearchSpace(small);
  const size = roundGroupSize(space, 32);
  assert(/^[125]0*$/.test(String(size)));
  const groups = groupsByMacs(space, 32, size);
  assert(groups.at(-1)!.to - groups[0].from <= 16 * size);
  assertEquals(groups.reduce((sum, group) => sum + group.count, 0), space.size);
});
