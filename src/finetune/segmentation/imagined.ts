/** Labels that nobody drew, to plan a segmentation with. */
import { Tensor } from "../../tensor/tensor.ts";
import type { FineTuneConfig } from "../config.ts";
import type { ImaginedData } from "../plan/imagined.ts";
import { area } from "../plan/look.ts";
import type { SegmentationKind } from "./run.ts";

/** All inputs are crops of one size; all pixels are of the first class. */
export function imaginedLabels(
  { crop: [height, width] }: FineTuneConfig["segmentation"],
): ImaginedData<SegmentationKind> {
  return {
    inputs: () => [{ height, width }],
    given: ({ gpu }, batch, size) => ({ labels: Tensor.zeros(gpu, [batch, size.height, size.width]) }),
    target: (size) => ({ kind: "labels", ...size, values: new Uint8Array(area(size)) }),
  };
}
