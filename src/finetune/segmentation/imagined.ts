/** Labels that nobody drew, to plan a segmentation with. */
import type { LabelTarget } from "../../data/dense/target.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { Segmentation } from "../../train/segmentation/segmentation.ts";
import type { FineTuneConfig } from "../config.ts";
import type { ImaginedData } from "../dense/run.ts";
import { area } from "../plan/look.ts";

/** All inputs are crops of one size; all pixels are of the first class. */
export function imaginedLabels(
  { crop: [height, width] }: FineTuneConfig["segmentation"],
): ImaginedData<Segmentation, LabelTarget> {
  return {
    inputs: () => [{ height, width }],
    given: ({ gpu }, batch, size) => ({ labels: Tensor.zeros(gpu, [batch, size.height, size.width]) }),
    target: (size) => ({ kind: "labels", ...size, values: new Uint8Array(area(size)) }),
  };
}
