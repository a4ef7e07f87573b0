import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { evaluationText, hasCollapsed, qualityWarnings, spreadSentence } from "../../src/evaluate/verdict.ts";
import type { MetricsLine } from "../../src/store/metrics.ts";

const healthy = { images: 512, dimension: 64, effectiveRank: 31.24, meanCosine: 0.7, deadShare: 0 };
const knn = (step: number, accuracy: number, knnPixels?: number): MetricsLine => ({
  ...{ step, epoch: step, knn: accuracy, images: 9, bank: 99, spread: healthy },
  ...(knnPixels !== undefined && { knnPixels }),
});

Deno.test("features have collapsed when two images are the same, or only a line is left", () => {
  assertEquals(hasCollapsed(healthy), false);
  assertEquals(hasCollapsed({ ...healthy, meanCosine: 0.991 }), true);
  assertEquals(hasCollapsed({ ...healthy, effectiveRank: 1.9 }), true);
  assertEquals(hasCollapsed({ ...healthy, effectiveRank: 6 }), false);
  assertEquals(
    hasCollapsed({ ...healthy, effectiveRank: 6 }, healthy),
    true,
    "a fifth of what it was untrained",
  );
});

Deno.test("a sentence says how many directions are used, and whether they grew", () => {
  const untrained = { ...healthy, effectiveRank: 12 };
  assertStringIncludes(
    spreadSentence(healthy, untrained),
    "31.2 of 64 possible directions, up from 12.0 untrained.",
  );
  assertStringIncludes(spreadSentence(untrained, healthy), "down from 31.2");
  assert(!spreadSentence(healthy, healthy).includes("from"));
  assertStringIncludes(spreadSentence({ ...healthy, images: 20 }), "of 20 possible");
  assertStringIncludes(
    spreadSentence({ ...healthy, deadShare: 0.6 }),
    "60.0\u00a0% of the dimensions never change",
  );
  assertStringIncludes(
    spreadSentence({ ...healthy, meanCosine: 0.999 }),
    "have collapsed: they use about 31.2 of 64 possible directions, and two images have a cosine of 0.999",
  );
});

Deno.test("kNN below raw pixels is warned of, of a trained network and at its last evaluation only", () => {
  const [warning, ...more] = qualityWarnings([knn(0, 0.1, 0.25), knn(5, 0.2)]);
  assertStringIncludes(warning, "20.0\u00a0%, below the 25.0\u00a0% of raw pixels");
  assertEquals(more, []);
  assertEquals(qualityWarnings([knn(0, 0.1, 0.25), knn(5, 0.2), knn(9, 0.25)]), []);
  assertEquals(qualityWarnings([knn(0, 0.1, 0.25)]), []);
  assertEquals(qualityWarnings([knn(0, 0.1), knn(5, 0.01)]), []);
  assertEquals(qualityWarnings([]), []);
});

Deno.test("collapsed features are warned of, without labels too", () => {
  const spread = { ...healthy, effectiveRank: 1.2 };
  const [warning] = qualityWarnings([{ step: 0, epoch: 0, spread: healthy }, { step: 9, epoch: 1, spread }]);
  assertStringIncludes(warning, "have collapsed");
  assertStringIncludes(warning, "down from 31.2 untrained, so little is left");
  assertStringIncludes(warning, "optimizer.learningRate");
  assertEquals(
    qualityWarnings([{ step: 0, epoch: 0, spread }]),
    [],
    "an untrained network has nothing to lose",
  );
});

Deno.test("an evaluation is one line on the terminal, with what was measured", () => {
  assertEquals(
    evaluationText(knn(0, 0.1, 0.25) as Parameters<typeof evaluationText>[0]),
    "epoch 0: kNN 10.0 % (raw pixels 25.0 %), effective rank 31.2 of 64",
  );
  assertEquals(evaluationText({ step: 8, epoch: 2, spread: healthy }), "epoch 2: effective rank 31.2 of 64");
  assertEquals(
    evaluationText({
      ...{ step: 8, epoch: 2, spread: { ...healthy, collapsedShare: 0, uniformity: -1.234 } },
      agreement: { images: 256, alignment: 0.2345, smallest: 0.8767 },
    }),
    "epoch 2: effective rank 31.2 of 64, uniformity -1.23, alignment 0.234, smallest to teacher 0.877",
  );
  assertEquals(
    evaluationText({
      ...{ step: 8, epoch: 2, spread: null },
      agreement: { images: 256, alignment: null, smallest: null },
    }),
    "epoch 2: the spread of the features cannot be measured: features that are not finite, or fewer than two images",
  );
});
