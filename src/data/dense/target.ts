/** What is known of the pixels or objects of an image, and sets of such images. */
import type { ImageSource, SourceOptions } from "../image_set.ts";
import type { CornerBox, RunLengths } from "./run_lengths.ts";

/** Class of a pixel that does not count. */
export const ignoredClass = 255;

/** A class; its number is its place in the set's list. */
export interface DenseClass {
  /** What files of the set call it: the value of a pixel, or a category's id. */
  readonly id: number;
  readonly name: string;
  /** Red, green, blue, 0 to 255, for pictures. */
  readonly colour: readonly [red: number, green: number, blue: number];
}

/** The class of each pixel. */
export interface LabelTarget {
  readonly kind: "labels";
  readonly width: number;
  readonly height: number;
  /** [height, width]: number of the class, or {@linkcode ignoredClass}. */
  readonly values: Uint8Array;
}

/** An object of an image. */
export interface Instance {
  /** Its id in the file, or its number in the image, from 1. */
  readonly id: number;
  /** Number of the class. */
  readonly classIndex: number;
  /** As in the file, possibly beyond the image. */
  readonly box: CornerBox;
  /** COCO's `area` field, or the mask's pixels. */
  readonly area: number;
  /** Many objects in one: not trained on, and detections inside do not count. */
  readonly crowd: boolean;
  /** Hard to make out ("difficult" in VOC): not trained on, and need not be found. */
  readonly ignored: boolean;
  /** Present where masks were asked for. */
  readonly mask?: RunLengths;
}

/** The objects of an image. */
export interface InstanceTarget {
  readonly kind: "instances";
  readonly width: number;
  readonly height: number;
  /** The image's id in results, unique within the set. */
  readonly imageId: number;
  /** As in the file: what is trained on is chosen later, evaluation needs all. */
  readonly instances: readonly Instance[];
}

/** Images with what is known of them. Close it when done, as any source of images. */
export interface DenseSource<Target extends LabelTarget | InstanceTarget> {
  /** The specification that opened it. */
  readonly name: string;
  /** The photos: `load(indices)` gives whole ones, shrunk only beyond `storedSide`. */
  readonly images: ImageSource;
  readonly classes: readonly DenseClass[];
  /**
   * What is known of an image, at the resolution of its annotation.
   *
   * @throws {DataError} naming the file and what is wrong with it
   */
  target(index: number): Promise<Target>;
  release(): void;
}

/** Images with a class for each pixel. */
export type SegmentationSource = DenseSource<LabelTarget>;
/** Images with boxes, and with masks where they were asked for. */
export type InstanceSource = DenseSource<InstanceTarget>;

/** Options of opening such a set. */
export interface DenseOptions
  extends Pick<SourceOptions, "strict" | "cacheBytes" | "workers" | "preload" | "onProgress" | "onWarning"> {
  /** Side of the synthetic images; no other source uses it. */
  readonly imageSize: number;
  /** Seed of the synthetic images; no other source uses it. */
  readonly seed: number;
  /** Longest shorter side that photos are kept at. Default: as large as they are. */
  readonly storedSide?: number;
  /** What becomes of images without objects. Default "keep": they are all background. */
  readonly emptyImages?: "keep" | "drop";
}
