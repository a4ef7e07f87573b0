/** Which candidates cannot be told from the highest of their group, over a whole ranking. */
import { assertEquals } from "@std/assert";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { ImageSums } from "../../src/search/image_sums.ts";
import { indistinguishable, intervalOf, ResampledScores } from "../../src/search/intervals.ts";
import { choosePlaces } from "../../src/search/places.ts";
import { rankCandidates } from "../../src/search/ranking.ts";
import { Ties } from "../../src/search/ties.ts";
import { buildTree } from "../../src/search/tree.ts";
import { formatArchitecture } from "../../src/elastic/architecture.ts";
import { purpose, Random } from "../../src/random.ts";

const network = new ElasticResNet(
  new SearchSpace({
    block: "basic",
    stem: { kind: "3x3", widths: [4, 8, 12, 16, 20] },
    widths: [[4, 8, 12, 16, 20], [4, 8, 12, 16, 20]],
    depths: [[1, 2, 3], [1, 2]],
    strides: [1, 2],
  }),
);
const images = 20;

/** A ranking of the whole space by scores of random images' parts, and what resampled images say. */
function compared(signal: AbortSignal) {
  const tree = buildTree(
    network,
    [...network.space.enumerate()],
    choosePlaces(network, "segmentation", "affinity"),
  );
  const random = new Random(9, purpose.test);
  const sums = ImageSums.of(images, tree.slots, 1);
  for (let at = 0; at < sums.values.length; at++) sums.values[at] = 0.8 + 0.1 * random.normal();
  const metric = {
    ...{ components: 2, imageComponents: 1, score: ([sum]: readonly number[]) => sum / images },
    scoreOfImages: (means: ArrayLike<number>) => means[0],
  };
  const names = tree.places.map(({ name }) => name);
  const slots = [...tree.candidateSlots].map((slot) =>
    metric.score([sums.ofSlot(slot).reduce((a, b) => a + b)])
  );
  const rows = tree.candidates.map((_, at) => slots.slice(at * names.length, (at + 1) * names.length));
  const ranking = rankCandidates(network, tree.candidates, names, rows, { groupSize: 5e5, imageSize: 16 });
  const scores = () => new ResampledScores(tree, metric, sums, 3);
  return { tree, ranking, scores: scores(), ties: Ties.of(ranking, tree, scores(), signal) };
}

Deno.test("each candidate is compared with the highest of its own group, and with any other on request", async () => {
  const { tree, ranking, scores, ties: pending } = compared(new AbortController().signal);
  const ties = (await pending)!;
  const at = new Map(tree.candidates.map((one, place) => [formatArchitecture(one), place]));
  const of = (arch: string) => scores.of(at.get(arch)!);
  let tied = 0;
  for (const { from, to, highest } of ranking.groups) {
    const members = ranking.candidates.filter(({ macs }) => macs >= from && macs < to);
    const last = members.at(-1)!.arch;
    for (const { arch } of members) {
      assertEquals(ties.intervals.get(arch), intervalOf(of(arch)));
      assertEquals(ties.tied(arch, highest), indistinguishable(of(arch), of(highest)));
      if (ties.tied(arch, highest)) tied++;
      assertEquals(ties.tied(arch, last), indistinguishable(of(arch), of(last)));
    }
  }
  assertEquals(tied > ranking.groups.length && tied < ranking.candidates.length, true, `${tied}`);
});

Deno.test("comparing many is ended by a signal", async () => {
  const controller = new AbortController();
  const { tree, ties } = compared(controller.signal);
  assertEquals(tree.candidates.length > 512, true);
  controller.abort();
  assertEquals(await ties, undefined);
});
