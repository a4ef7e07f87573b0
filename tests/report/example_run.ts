import { purpose, Random } from "../../src/random.ts";
import type { PretrainReport, PretrainSummary } from "../../src/report/pretrain_report.ts";
import type { MetricsLine } from "../../src/store/metrics.ts";

/** The summary of a small elastic run. */
export const exampleSummary: PretrainSummary = {
  title: "runs/demo",
  version: "0.1.0",
  device: "llvmpipe (LLVM 19.1.7, 256 bits)",
  data: { spec: "synthetic:2048", images: 2048, classes: 10 },
  imageSize: 32,
  space: {
    architectures: 243,
    smallest: { arch: "8-4.8.16.32-1.1.1.1", macs: 912_384, params: 21_340 },
    largest: { arch: "16-8.16.32.64-1.1.1.1", macs: 4_112_384, params: 78_210 },
  },
  steps: 640,
  epochs: 20,
  seconds: 228,
  queue: 512,
  settings: [
    ["Seed", "7"],
    ["Batch", "64"],
    ["Learning rate", "0.06, cosine to 0"],
    ["Queue", "512 keys, temperature 0.2"],
    ["Teacher", "largest architecture, momentum 0.97"],
    ["Passes per step", "largest, smallest, 1 random"],
  ],
};

/** A plausible run: `logged` step lines over 20 epochs, and a kNN line before the first and after every second one. */
export function exampleRun(logged: number): PretrainReport {
  const random = new Random(7, purpose.test);
  const metrics: MetricsLine[] = [];
  const stepsPerLine = 640 / logged;
  let nextEvaluation = 0;
  for (let index = 0; index <= logged; index++) {
    const epoch = index / logged * 20;
    const step = Math.round(index * stepsPerLine);
    const loss = (offset: number) =>
      5.2 + offset + 1.1 * Math.exp(-epoch / 5) - Math.exp(-epoch * 2) + 0.06 * random.normal();
    if (index > 0) {
      const [lossMax, lossMin, lossRandom] = [loss(-0.12), loss(0.16), loss(0.02)];
      metrics.push({
        ...{ step, epoch: Math.min(19, Math.floor(epoch)), loss: (lossMax + lossMin + lossRandom) / 3 },
        ...{ lossMax, lossMin, lossRandom, lr: 0.03 * (1 + Math.cos(Math.PI * index / logged)) },
        imagesPerSecond: 184 + 6 * random.normal() - (random.chance(0.04) ? 40 : 0),
      });
    }
    if (epoch < nextEvaluation) continue;
    const knn = 0.205 + 0.25 * (1 - Math.exp(-epoch / 6)) + 0.006 * random.normal();
    const first = epoch === 0 ? { knnPixels: 0.16 } : {};
    const spread = {
      ...{ images: 512, dimension: 64, effectiveRank: 12 + 20 * (1 - Math.exp(-epoch / 5)) },
      ...{ meanCosine: 0.9 - 0.2 * (1 - Math.exp(-epoch / 5)), deadShare: 1 / 64 },
      ...{ collapsedShare: 2 / 64, uniformity: -0.4 - 0.8 * (1 - Math.exp(-epoch / 5)) },
    };
    const agreement = {
      ...{ images: 128, alignment: 0.22 + 0.1 * Math.exp(-epoch / 3) },
      smallest: epoch === 0 ? 0.06 : 0.9 - 0.1 * Math.exp(-epoch / 4),
    };
    metrics.push({ step, epoch: nextEvaluation, knn, ...first, images: 512, bank: 2048, spread, agreement });
    nextEvaluation += 2;
  }
  const config = {
    seed: 7,
    data: "synthetic:2048",
    space: { block: "basic", stem: [8, 16], widths: [[4, 8], [8, 16], [16, 32], [32, 64]] },
    training: { epochs: 20, batch: 64, learningRate: 0.06, queue: 512, temperature: 0.2, momentum: 0.97 },
  };
  return { config, metrics, summary: exampleSummary };
}
