import { assertEquals } from "@std/assert";
import { elasticNetwork, segment } from "../../src/elastic/network.ts";
import { sequence } from "../../src/elastic/unit.ts";
import { ConvolutionBatchnorm } from "../../src/nn/layers.ts";
import { walkMemory } from "../../src/search/memory.ts";
import { choosePlaces } from "../../src/search/places.ts";
import { padded } from "../../src/search/similarity/samples.ts";
import { buildTree } from "../../src/search/tree.ts";

function unit(name: string, channels: number) {
  const layer = new ConvolutionBatchnorm({
    convolution: `${name}.convolution`,
    batchnorm: `${name}.batchnorm`,
    channels,
    kernel: 3,
  });
  return sequence(`${name} ${channels}`, [layer]);
}

/** Two convolutions of 7 or 8 channels behind one of 4. */
const network = elasticNetwork([
  segment({ name: "one", choices: { width: [4] }, units: ({ width }) => [unit("one", width)] }),
  segment({
    name: "two",
    tap: "two",
    choices: { width: [7, 8] },
    units: ({ width }) => [unit("two.0", width), unit("two.1", width)],
  }),
]);
const imageSize = 8;
const question = {
  tree: buildTree(network, [...network.space.enumerate()], choosePlaces(network, "classification", "cosine")),
  imageSize,
  similarity: { metric: "cosine" },
} as const;

/** Bytes of maps of so many channels, of one image. */
const maps = (channels: number) => 4 * channels * imageSize ** 2;
const rows = 4 * padded(8);

Deno.test("a walk's memory is that of its fullest moment", () => {
  // The second convolution of 7: the four channels for the sibling that comes later, its input, its result twice.
  const running = maps(4 + 7 + 2 * 7);
  for (const batch of [1, 3]) {
    const { total, largest } = walkMemory({ ...question, mode: "batch" }, batch, 12);
    assertEquals(total, Math.ceil(1.25 * batch * (3 * maps(3) + rows + running)));
    assertEquals(largest, batch * maps(8));
  }
});

Deno.test("recalibration keeps the maps of all batches, in training and in evaluation", () => {
  const { total } = walkMemory({ ...question, mode: "recalibrated" }, 1, 3);
  const running = maps(6 * (4 + 7 + 7) + 2 * 7);
  assertEquals(total, Math.ceil(1.25 * (3 * (maps(3) + rows) + 2 * maps(3) + running)));
});

Deno.test("the teacher is the largest network, whatever the candidates", () => {
  const { min } = network.space;
  const tree = buildTree(network, [min], question.tree.places);
  const { total } = walkMemory({ ...question, tree, mode: "batch" }, 1, 1);
  assertEquals(total, Math.ceil(1.25 * (3 * maps(3) + rows + maps(8 + 2 * 8))));
});
