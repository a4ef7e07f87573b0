/**
 * What is drawn for each view of an image, on the host: the device only carries it out (augment.ts). The parts and
 * their order are MoCo v2's, with torchvision's meaning: random resized crop, colour jitter, grayscale, blur, flip.
 */
import type { Config } from "../config/schema.ts";
import { purpose, Random } from "../random.ts";

/** Which parts are drawn, and from which ranges. */
export type AugmentationSettings = Exclude<Config["augmentation"], "none">;

/** A part of an image, in whole pixels. */
export interface CropBox {
  top: number;
  left: number;
  height: number;
  width: number;
}

/** One operation of the colour jitter. `amount` is a factor (1 changes nothing); of a hue, the shift in turns. */
export interface JitterStep {
  operation: "brightness" | "contrast" | "saturation" | "hue";
  amount: number;
}

/** Everything that turns an image into one network input. */
export interface SampleParameters {
  crop: CropBox;
  /** Mirrored left to right. */
  flip: boolean;
  /** In order of application, each at most once; the result of each is clamped to [0, 1]. */
  jitter: readonly JitterStep[];
  grayscale: boolean;
  /** Standard deviation of the Gaussian blur in output pixels; 0 for none. Its radius is ceil(3 sigma). */
  sigma: number;
}

/** Width and height in pixels. */
interface ImageSize {
  width: number;
  height: number;
}

const cropTries = 10;

function centred(image: ImageSize, height: number, width: number): CropBox {
  return {
    top: Math.floor((image.height - height) / 2),
    left: Math.floor((image.width - width) / 2),
    height,
    width,
  };
}

/** torchvision's `RandomResizedCrop.get_params`: ten tries, then the central crop nearest to the wanted ratios. */
function drawCrop(
  random: Random,
  image: ImageSize,
  { scale, ratio }: NonNullable<AugmentationSettings["crop"]>,
): CropBox {
  const area = image.width * image.height;
  for (let attempt = 0; attempt < cropTries; attempt++) {
    const part = area * random.uniform(scale[0], scale[1]);
    const aspect = Math.exp(random.uniform(Math.log(ratio[0]), Math.log(ratio[1])));
    const width = Math.round(Math.sqrt(part * aspect));
    const height = Math.round(Math.sqrt(part / aspect));
    if (width < 1 || width > image.width || height < 1 || height > image.height) continue;
    const top = random.integer(image.height - height + 1);
    const left = random.integer(image.width - width + 1);
    return { top, left, height, width };
  }
  const aspect = image.width / image.height;
  if (aspect < ratio[0]) return centred(image, Math.max(1, Math.round(image.width / ratio[0])), image.width);
  if (aspect > ratio[1]) {
    return centred(image, image.height, Math.max(1, Math.round(image.height * ratio[1])));
  }
  return centred(image, image.height, image.width);
}

/** Each operation's range around the value that changes nothing; null is a jitter without effect. */
function drawJitter(random: Random, settings: AugmentationSettings["jitter"]): JitterStep[] {
  const applied = random.chance(settings?.probability ?? 0);
  const around = (middle: number, range: number) =>
    random.uniform(Math.max(0, middle - range), middle + range);
  const brightness = around(1, settings?.brightness ?? 0);
  const contrast = around(1, settings?.contrast ?? 0);
  const saturation = around(1, settings?.saturation ?? 0);
  const hueRange = settings?.hue ?? 0;
  const hue = random.uniform(-hueRange, hueRange);
  const order = random.permutation(4);
  if (!settings || !applied) return [];
  const steps: (JitterStep & { range: number })[] = [
    { operation: "brightness", amount: brightness, range: settings.brightness },
    { operation: "contrast", amount: contrast, range: settings.contrast },
    { operation: "saturation", amount: saturation, range: settings.saturation },
    { operation: "hue", amount: hue, range: settings.hue },
  ];
  return Array.from(order, (index) => steps[index]).filter(({ range }) => range > 0)
    .map(({ operation, amount }) => ({ operation, amount }));
}

/**
 * Draws the parameters of one view.
 *
 * The order of draws is fixed: flip; jitter (whether, brightness, contrast, saturation, hue, three for the order);
 * grayscale; blur (whether, sigma); crop (two for each try, two for the place). Every part draws its numbers whether or
 * not it is switched on or comes to pass, and the crop, whose number of tries varies, is last: so switching one part
 * off leaves the others as they were.
 *
 * @param settings which parts there are
 * @param random the numbers of this view, see {@linkcode viewRandom}
 * @param image size of the image
 */
export function drawParameters(
  settings: AugmentationSettings,
  random: Random,
  image: ImageSize,
): SampleParameters {
  const flip = random.chance(settings.flip);
  const jitter = drawJitter(random, settings.jitter);
  const grayscale = random.chance(settings.grayscale);
  const blurred = random.chance(settings.blur?.probability ?? 0);
  const [low, high] = settings.blur?.sigma ?? [0, 0];
  const sigma = random.uniform(low, high);
  return {
    crop: settings.crop ? drawCrop(random, image, settings.crop) : centred(image, image.height, image.width),
    flip,
    jitter,
    grayscale,
    sigma: blurred ? sigma : 0,
  };
}

/**
 * The random numbers of one view of one image in one step, whatever the timing, the batch's order or its other images.
 *
 * @param image index of the image in its source
 * @param view 0 for the query's, 1 for the key's
 */
export function viewRandom(seed: number, step: number, image: number, view: number): Random {
  return new Random(seed, purpose.augmentation, step, 2 * image + view);
}

/** What leaves an image as it is, but for the resizing of the whole to the network's input. */
export function plainParameters(image: ImageSize): SampleParameters {
  const crop = centred(image, image.height, image.width);
  return { crop, flip: false, jitter: [], grayscale: false, sigma: 0 };
}
