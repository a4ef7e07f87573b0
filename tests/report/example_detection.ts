/** A report of a Mask R-CNN as pages look at it. */
import type { CocoMetrics } from "../../src/evaluate/coco.ts";
import type { DetectionReport } from "../../src/report/detection_report.ts";
import type { ObjectMetrics } from "../../src/store/metrics.ts";
import { exampleSegmentation } from "./example_segmentation.ts";

/** COCO's numbers; of large objects there are none. */
function numbers(best: number): CocoMetrics {
  return {
    ...{
      AP: best,
      AP50: best + 0.2,
      AP75: best - 0.05,
      APsmall: best - 0.1,
      APmedium: best + 0.1,
      APlarge: null,
    },
    ...{ AR1: 0.02, AR10: 0.2, AR100: best + 0.1, ARsmall: best, ARmedium: best + 0.15, ARlarge: null },
    perCategory: [best, best + 0.1].map((AP, categoryId) => ({
      ...{ categoryId, AP, AP50: AP + 0.2, AP75: AP - 0.05, AR100: AP + 0.1, recalls: null },
    })),
  };
}

/** Two evaluations, two pictures, five losses. */
export function exampleDetection(changes: Partial<DetectionReport> = {}): DetectionReport {
  const { steps, pictures, metrics: _, classes: __, evaluations: ___, ...rest } = exampleSegmentation();
  return {
    ...rest,
    ...{ title: "runs/nuclei", task: "instances", head: "mask-rcnn", pictures },
    classes: [{ id: 0, name: "small cells" }, { id: 1, name: "large cells" }],
    metrics: { boxes: numbers(0.3231), masks: numbers(0.2981) },
    steps: steps.map((step) => ({
      ...step,
      lossTerms: Object.fromEntries(
        (["objectness", "proposals", "classes", "boxes", "masks"] as const).map((name, at) => [
          name,
          step.loss / (at + 3),
        ]),
      ),
    })),
    evaluations: [500, 1500].map((step, at): ObjectMetrics => ({
      ...{ step, epoch: at + 1, boxAP: [0.2, 0.3231][at], boxAP50: 0.5, boxAP75: 0.2 },
      ...{ maskAP: [0.15, 0.2981][at], maskAP50: 0.4, maskAP75: 0.2 },
    })),
    ...changes,
  };
}
