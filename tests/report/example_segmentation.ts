/** A report of a segmentation as pages look at it: classes of all shares, pictures, long names. */
import type { SegmentationReport } from "../../src/report/segmentation_report.ts";
import type { PixelMetrics } from "../../src/store/metrics.ts";

/** A drawn picture, 4:3, of one colour. */
function picture(colour: string): string {
  const markup = `<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240">` +
    `<rect width="320" height="240" fill="${colour}"/><rect x="80" y="90" width="120" height="100" fill="gray"/></svg>`;
  return `data:image/svg+xml;base64,${btoa(markup)}`;
}

const classes = [
  ["sky", 70, 130, 180],
  ["road", 128, 64, 128],
  ["a class with a rather long name & a sign", 220, 20, 60],
  ["traffic light", 250, 170, 30],
  ["person", 60, 20, 220],
  ["never there", 0, 80, 100],
] as const;

/** Six classes, of which one is neither there nor predicted. */
export function exampleSegmentation(changes: Partial<SegmentationReport> = {}): SegmentationReport {
  const perClass = [0.912, 0.853, 0.4, 0.031, 0, null].map((iou, at) => ({
    ...{ iou, accuracy: iou === null ? null : Math.min(1, iou * 1.05) },
    ...{
      pixels: iou === null ? 0 : 4_000_000 >> (2 * at),
      predicted: iou === null ? 0 : 3_000_000 >> (2 * at),
    },
  }));
  return {
    title: "runs/fcn",
    version: "0.0.0",
    device: "a device",
    head: "fcn",
    arch: "16-16.32.64.128-1.2.2.1",
    classes: classes.map(([name, ...colour]) => ({ name, colour })),
    images: { train: 180, test: 51 },
    metrics: {
      ...{ mIoU: 0.4392, pixelAccuracy: 0.8721, meanAccuracy: 0.5, perClass },
      ...{ pixels: 8_812_800, ignored: 123_456 },
    },
    steps: Array.from({ length: 150 }, (_, at) => ({
      ...{ step: 10 * (at + 1), epoch: Math.floor(at / 15), lr: 0.01, imagesPerSecond: 20 },
      loss: 0.6 + 2 / (1 + at / 10) + 0.05 * Math.sin(7 * at),
      lossTerms: { pixels: 0.4 + 1.4 / (1 + at / 10), auxiliary: 0.5 + 1.5 / (1 + at / 10) },
    })),
    evaluations: [0, 500, 1000, 1500].map((step, at): PixelMetrics => ({
      ...{
        step,
        epoch: at,
        mIoU: [0.02, 0.3, 0.41, 0.4392][at],
        pixelAccuracy: [0.1, 0.8, 0.86, 0.8721][at],
      },
    })),
    pictures: ["road/one.jpg", "road/two.jpg"].map((name) => ({
      ...{ name, image: picture("teal"), truth: picture("olive"), prediction: picture("navy") },
    })),
    settings: [["head", "fcn"], ["optimizer.learningRate", "0.01"], ["segmentation.crop", "[256,256]"]],
    ...changes,
  };
}
