/** Whether a run still gains, as the report says it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { measureProgress, progressSentence } from "../../src/evaluate/progress.ts";
import type { MetricsLine } from "../../src/store/metrics.ts";

/** The numbers of an evaluation; absent ones stay as they are from epoch to epoch. */
interface Numbers {
  readonly rank?: number;
  readonly uniformity?: number;
  readonly alignment?: number | null;
  readonly smallest?: number;
}

/** Evaluations after every epoch, the untrained network's first, and a step line with the learning rate before each. */
function run(length: number, at: (epoch: number) => Numbers, rate = (_epoch: number) => 0.1): MetricsLine[] {
  return Array.from({ length: length + 1 }, (_, epoch): MetricsLine[] => {
    const { rank = 30, uniformity = -1, alignment = 0.3, smallest = 0.8 } = at(epoch);
    const spread = {
      ...{ images: 512, dimension: 64, effectiveRank: rank, meanCosine: 0.6, deadShare: 0 },
      ...{ collapsedShare: 0, uniformity },
    };
    const agreement = { images: 256, alignment, smallest };
    const step = { step: epoch, epoch, loss: 5, lr: rate(epoch), imagesPerSecond: 1 };
    return [step, { step: epoch, epoch, spread, agreement }];
  }).flat();
}

const directions = (lines: MetricsLine[]) =>
  Object.fromEntries(measureProgress(lines)!.moves.map(({ name, direction }) => [name, direction]));

Deno.test("each signal has its better direction", () => {
  const better = run(8, (epoch) => ({
    ...{ rank: 10 + epoch, uniformity: -1 - epoch, alignment: 0.9 - epoch / 10, smallest: epoch / 10 },
  }));
  const worse = run(8, (epoch) => ({
    ...{ rank: 30 - epoch, uniformity: -9 + epoch, alignment: epoch / 10, smallest: 0.9 - epoch / 10 },
  }));
  assertEquals(new Set(Object.values(directions(better))), new Set(["better"]));
  assertEquals(new Set(Object.values(directions(worse))), new Set(["worse"]));
  assertEquals(Object.keys(directions(better)).length, 4);
  const { from, to } = measureProgress(better)!;
  assertEquals([from, to], [6, 8], "the last quarter");
  assertStringIncludes(progressSentence(better)!, "still gains");
  assertStringIncludes(progressSentence(better)!, "effective rank (16.0 to 18.0)");
  assertStringIncludes(progressSentence(better)!, "uniformity (−7.00 to −9.00)");
  assertStringIncludes(progressSentence(worse)!, "no longer gains");
});

Deno.test("a run has flattened when nothing moves, whatever came before", () => {
  const flat = run(12, (epoch) => ({ rank: epoch < 6 ? 10 + epoch : 16, smallest: epoch === 0 ? 0 : 0.8 }));
  assertEquals(new Set(Object.values(directions(flat))), new Set(["still"]));
  assertStringIncludes(
    progressSentence(flat)!,
    "Training has flattened by these signals. Between epochs 9 and 12",
  );
});

Deno.test("small moves are none: of the range over the run, and of the value itself", () => {
  const ofRange = (end: number) => run(8, (epoch) => ({ rank: [0, 10, 20, 30, 30, 30, 30, 30, end][epoch] }));
  assertEquals(directions(ofRange(31.9))["effective rank"], "still");
  assertEquals(directions(ofRange(32.4))["effective rank"], "better");
  const ofSize = (end: number) => run(8, (epoch) => ({ rank: epoch === 8 ? end : 30 }));
  assertEquals(directions(ofSize(30.2))["effective rank"], "still");
  assertEquals(directions(ofSize(30.4))["effective rank"], "better");
});

Deno.test("the untrained network is not part of the range", () => {
  const lines = run(8, (epoch) => ({ smallest: epoch === 0 ? 0.01 : 0.8 + epoch / 100 }));
  assertEquals(directions(lines)["the smallest subnet's likeness to the teacher"], "better");
});

Deno.test("signals may disagree", () => {
  const text = progressSentence(run(8, (epoch) => ({ rank: 10 + epoch, alignment: 0.1 + epoch / 10 })))!;
  assertStringIncludes(text, "The signals disagree");
  assertStringIncludes(
    text,
    "these improved: effective rank (16.0 to 18.0); these got worse: alignment (0.700 to 0.900)",
  );
});

Deno.test("a signal that was not measured throughout is left out", () => {
  const lines = run(8, (epoch) => ({ alignment: epoch === 3 ? null : 0.3 }));
  assertEquals(Object.keys(directions(lines)).includes("alignment"), false);
  // Runs of earlier versions: the effective rank alone.
  const old = lines.map((line): MetricsLine => {
    if (!("spread" in line)) return line;
    const { agreement: _, spread, ...rest } = line;
    const { collapsedShare: _collapsed, uniformity: _uniformity, ...kept } = spread!;
    return { ...rest, spread: kept };
  });
  assertEquals(Object.keys(directions(old)), ["effective rank"]);
});

Deno.test("too few evaluations are said, and none, or collapsed features, need no such word", () => {
  assertEquals(measureProgress(run(2, () => ({}))), undefined);
  assertStringIncludes(progressSentence(run(2, () => ({})))!, "there are 2. A smaller knn.every");
  assertStringIncludes(progressSentence(run(1, () => ({})))!, "there is 1.");
  assertEquals(progressSentence([]), undefined);
  assertEquals(progressSentence(run(0, () => ({}))), undefined, "not trained yet");
  assertEquals(progressSentence(run(8, (epoch) => ({ rank: epoch === 8 ? 1.1 : 30 }))), undefined);
  const broken: MetricsLine = { step: 9, epoch: 9, spread: null };
  assertEquals(progressSentence([...run(8, () => ({})), broken]), undefined);
});

Deno.test("a learning rate that has fallen is named as what flattens", () => {
  const falling = run(8, () => ({}), (epoch) => 0.1 * (1 - epoch / 8));
  assertStringIncludes(progressSentence(falling)!, "what a longer one would gain, this does not tell");
  assert(!progressSentence(run(8, () => ({})))!.includes("learning rate"));
});
