/**
 * What is drawn for a photo and its labels together: scale, window, flip, colours. A draw is a function of the seed, the step
 * and the image, whatever the batch's order. Meanings and defaults are mmsegmentation's.
 */
import { purpose, Random } from "../../random.ts";
import type { ColourStep } from "./dense_crop.ts";
import {
  type DetectionResize,
  detectionSize,
  type Placement,
  type Size,
  wholePlacement,
  windowCounts,
} from "./placement.ts";
import { ignoredClass, type InstanceTarget, type LabelTarget } from "./target.ts";

/** Each change has its own chance; a null changes nothing. */
export interface ColourRanges {
  /** Most that is added to or taken from all channels, of 1. */
  readonly brightness: number;
  /** Least and greatest factor of all channels. */
  readonly contrast: readonly [low: number, high: number];
  /** Least and greatest factor of the saturation, of hue, saturation and value. */
  readonly saturation: readonly [low: number, high: number];
  /** Most that the hue is turned, in turns. */
  readonly hue: number;
  readonly probability: number;
}

/** From which ranges is drawn. */
export interface DenseAugmentation {
  /** Least and greatest factor of the base size. */
  readonly scale: readonly [low: number, high: number];
  /** Sides, the longer and the shorter one, into which a photo is fitted at factor 1; null: as large as it is. */
  readonly base: { readonly longSide: number; readonly shortSide: number } | null;
  /** Size of the window; a smaller photo is padded. */
  readonly crop: Size;
  /** A window is drawn again, up to ten times, while one class has at least this share of its pixels that count; 1: never. */
  readonly mostOfOneClass: number;
  /** Chance of mirroring. */
  readonly flip: number;
  readonly colour: ColourRanges | null;
}

/** mmsegmentation's colour changes. */
export const usualColours: ColourRanges = {
  brightness: 32 / 255,
  contrast: [0.5, 1.5],
  saturation: [0.5, 1.5],
  hue: 18 / 180,
  probability: 0.5,
};

/** A drawn change. */
export interface DenseDraw {
  readonly placement: Placement;
  /** In order of application. */
  readonly colours: readonly ColourStep[];
}

const windowTries = 10;

/**
 * Draws how a photo is shown.
 *
 * The order of draws is fixed: flip; colours (whether and how much of each, then the order of contrast); scale; two for each
 * window, whose number varies, last.
 *
 * @param index of the image in its source
 */
export function drawDense(
  settings: DenseAugmentation,
  { seed, step, index }: { readonly seed: number; readonly step: number; readonly index: number },
  target: LabelTarget | InstanceTarget,
): DenseDraw {
  const random = new Random(seed, purpose.denseAugmentation, step, index);
  const flip = random.chance(settings.flip);
  const colours = drawColours(random, settings.colour);
  const source = { height: target.height, width: target.width };
  const resized = resizedBy(source, random.uniform(...settings.scale), settings.base);
  const height = Math.min(settings.crop.height, resized.height);
  const width = Math.min(settings.crop.width, resized.width);
  const drawWindow = (): Placement => {
    const top = random.integer(resized.height - height + 1);
    const left = random.integer(resized.width - width + 1);
    return { source, resized, window: { top, left, height, width }, flip };
  };
  let placement = drawWindow();
  if (target.kind === "labels" && settings.mostOfOneClass < 1) {
    for (let again = 0; again < windowTries; again++) {
      if (greatestShare(target, placement) < settings.mostOfOneClass) break;
      placement = drawWindow();
    }
  }
  return { placement, colours };
}

/** How a detector's photo is drawn: whole, at one of some sizes. */
export interface DetectionAugmentation {
  /** Lengths of the shorter side, of which one is drawn. */
  readonly shortSides: readonly number[];
  readonly longSide: number;
  readonly rounding?: DetectionResize["rounding"];
  /** Chance of mirroring. */
  readonly flip: number;
  readonly colour: ColourRanges | null;
}

/** Draws how a detector sees a whole photo, as torchvision (one short side) or detectron2 (several) does; see {@linkcode drawDense}. */
export function drawDetection(
  { shortSides, longSide, rounding, flip, colour }: DetectionAugmentation,
  { seed, step, index }: { readonly seed: number; readonly step: number; readonly index: number },
  target: InstanceTarget,
): DenseDraw {
  const random = new Random(seed, purpose.denseAugmentation, step, index);
  const mirrored = random.chance(flip);
  const colours = drawColours(random, colour);
  const source = { height: target.height, width: target.width };
  const resized = detectionSize(source, { shortSide: random.pick(shortSides), longSide, rounding });
  return { placement: { ...wholePlacement(source, resized), flip: mirrored }, colours };
}

/** Of the pixels that count, of the window's most frequent class; 1 where none counts. */
function greatestShare(target: LabelTarget, placement: Placement): number {
  const counts = windowCounts(target, placement).subarray(0, ignoredClass);
  const all = counts.reduce((sum, count) => sum + count, 0);
  return all === 0 ? 1 : Math.max(...counts) / all;
}

/** A photo's size at a factor, each side rounded to the nearest pixel. */
function resizedBy(source: Size, factor: number, base: DenseAugmentation["base"]): Size {
  const longer = Math.max(source.height, source.width), shorter = Math.min(source.height, source.width);
  const fit = base ? Math.min(base.longSide / longer, base.shortSide / shorter) : 1;
  const scaled = (side: number) => Math.max(1, Math.floor(side * factor * fit + 0.5));
  return { height: scaled(source.height), width: scaled(source.width) };
}

/** Brightness first; contrast before or after saturation and hue. Every part draws, whether or not it comes to pass. */
function drawColours(random: Random, ranges: ColourRanges | null): ColourStep[] {
  const { brightness, contrast, saturation, hue, probability } = ranges ?? usualColours;
  const draw = (operation: ColourStep["operation"], low: number, high: number): ColourStep[] => {
    const applied = random.chance(probability);
    const amount = random.uniform(low, high);
    return applied && low < high ? [{ operation, amount }] : [];
  };
  const added = draw("add", -brightness, brightness);
  const multiplied = draw("multiply", ...contrast);
  const chroma = draw("chroma", ...saturation);
  const turned = draw("hue", -hue, hue);
  const contrastFirst = random.chance(0.5);
  if (!ranges) return [];
  return [
    ...added,
    ...(contrastFirst ? multiplied : []),
    ...chroma,
    ...turned,
    ...(contrastFirst ? [] : multiplied),
  ];
}
