/** COCO's `segmentation` fields as tests read them, of any of the three kinds. */
import { drawPolygons } from "../../../src/data/dense/polygon.ts";
import { parseRuns, type RunLengths, runsOf } from "../../../src/data/dense/run_lengths.ts";

export type SegmentationField = number[][] | {
  size: [height: number, width: number];
  counts: string | number[];
};

export function toRuns(field: SegmentationField, height: number, width: number): RunLengths {
  if (Array.isArray(field)) return drawPolygons(field, height, width);
  const { counts } = field;
  return typeof counts === "string" ? parseRuns(counts, height, width) : runsOf(counts, height, width);
}
