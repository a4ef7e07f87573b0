/** The full-size configurations of fine-tunings, as commands run them on images of 64 pixels. */

/** A configuration with what the command is given beside it. */
export interface FullSize {
  readonly file: string;
  /** Task and head. */
  readonly flags: readonly string[];
  /** Settings that make images small, and nothing else. */
  readonly small: readonly string[];
}

const crop = ["segmentation.crop=[64,64]"];

export const fullSize: readonly FullSize[] = [
  { file: "finetune-cityscapes-fcn.json", flags: ["--head", "fcn"], small: crop },
  { file: "finetune-cityscapes-psp.json", flags: ["--head", "psp"], small: crop },
  {
    file: "finetune-coco-mask-rcnn.json",
    flags: ["--task", "instances"],
    small: ["detection.shortSide=64", "detection.longSide=64"],
  },
];

/** A network and heads as narrow as they may be, for tests that take seconds; structure and all other settings stay. */
export const narrow: readonly string[] = [
  ...["network.stem.widths=[4]", "network.widths=[[3],[4],[5],[6]]", "network.named={}"],
  ...["segmentation.channels=8", "detection.channels=8", "detection.hidden=16", "detection.maskChannels=8"],
  ...["detection.regionSamples=16", "detection.trainingProposals=50", "detection.testingProposals=50"],
];

/** One step of two images, and a test of one. */
export const oneStep: readonly string[] = ["training.epochs=1", "training.batch=2", "training.logEvery=1"];

/** Arguments of the command, on drawn images. */
export function argumentsOf(
  { file, flags }: FullSize,
  images: number,
  settings: readonly string[],
): string[] {
  const path = new URL(`../../configs/${file}`, import.meta.url).pathname;
  return [
    ...["--from", "scratch", "--config", path, ...flags],
    ...["--data", `synthetic:${images}`, "--test-data", "synthetic:1", "--json"],
    ...settings.flatMap((setting) => ["--set", setting]),
  ];
}
