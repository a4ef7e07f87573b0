import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { choiceSection, scoresByChoice } from "../../src/report/choices.ts";
import { scoreFormat } from "../../src/report/scores.ts";
import { formatArchitecture } from "../../src/elastic/architecture.ts";
import { exampleSpaces } from "./example_search.ts";

const scored = (arch: string, score: number) => ({ arch, macs: 1, params: 1, score, scorePerStage: [score] });

Deno.test("in the whole space, each choice's mean is the sum of what the choices are worth", () => {
  const space = exampleSpaces.demo;
  const worth = (widths: readonly number[], depths: readonly number[]) =>
    0.01 * widths[1] + 0.002 * widths[3] + 0.1 * depths[3];
  const dimensions = scoresByChoice(
    [...space.enumerate()].map((architecture) =>
      scored(formatArchitecture(architecture), worth(architecture.widths, architecture.depths))
    ),
  );
  assertEquals(
    dimensions.map(({ name, choices }) => [name, choices.map(({ choice, count }) => [choice, count])]),
    [
      ["Width, stage 2", [[8, 18], [16, 18]]],
      ["Width, stage 3", [[16, 12], [24, 12], [32, 12]]],
      ["Width, stage 4", [[24, 12], [32, 12], [48, 12]]],
      ["Depth, stage 4", [[1, 18], [2, 18]]],
    ],
  );
  const gains = dimensions.map(({ choices }) => choices.at(-1)!.mean - choices[0].mean);
  [0.08, 0, 0.048, 0.1].forEach((gain, index) => assertAlmostEquals(gains[index], gain, 1e-12));
});

Deno.test("the middle half of the scores lies between linear quartiles", () => {
  const [stem] = scoresByChoice([
    ...[5, 1, 4, 2, 3].map((score) => scored("8-8.8-1.1", score)),
    ...[0, 1].map((score) => scored("16-8.8-1.1", score)),
  ]);
  assertEquals(stem.name, "Stem width");
  assertEquals(stem.choices, [
    { choice: 8, count: 5, mean: 3, lowerQuartile: 2, upperQuartile: 4 },
    { choice: 16, count: 2, mean: 0.5, lowerQuartile: 0.25, upperQuartile: 0.75 },
  ]);
});

Deno.test("each dimension has a chart that says its means and what the largest choice gains", async () => {
  const dimensions = scoresByChoice([scored("8-8.8-1.1", 0.5), scored("16-8.8-1.1", 0.75)]);
  const section = (await choiceSection(dimensions, scoreFormat([0.5, 0.75]))).text;
  assert(section.includes('aria-label="Stem width: mean score 0.500 for 8, 0.750 for 16."'));
  assert(section.includes('<span class="gain">+0.250</span>'));
  assert(!section.includes("NaN"));
});
