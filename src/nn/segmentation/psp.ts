/**
 * The head of PSPNet (Zhao et al. 2017) as mmsegmentation has it: the last map is pooled to grids of 1, 2, 3 and 6 cells a
 * side; each goes through a 1x1 convolution to a quarter of the channels with batchnorm and ReLU, and is interpolated back;
 * all of them and the map itself are joined, and a 3x3 convolution to a quarter with batchnorm and ReLU, dropout and a 1x1
 * convolution classify. The widths follow the backbone's: 512 for 2048 channels, as published.
 */
import type { TappedHead } from "../headed_network.ts";
import { ConvolutionBatchnorm } from "../layers.ts";
import { Dropout, GridPool, JoinChannels, ResizeTo } from "../map_layers.ts";
import { Convolution, smallStart } from "../plain_layers.ts";
import { auxiliaryClassifier, type SegmentationHeadDefinition, through } from "./classifier.ts";

/** Cells a side of the grids. */
const grids = [1, 2, 3, 6];

/** The head of PSPNet: logits at the resolution of the last map, then those of the auxiliary classifier, if any. */
export function pspHead(
  { classes, channels: [before, last], auxiliary, dropout }: SegmentationHeadDefinition,
): TappedHead {
  const width = Math.max(1, Math.floor(last / 4));
  const convolution = (name: string, kernel: number) =>
    new ConvolutionBatchnorm({
      convolution: `${name}.conv`,
      batchnorm: `${name}.bn`,
      channels: width,
      kernel,
      relu: `${name}.relu`,
    });
  const branches = grids.map((side, at) => {
    const name = `classifier.psp_modules.${at}`;
    return {
      pool: new GridPool(`${name}.0`, side),
      reduce: convolution(`${name}.1`, 1),
      back: new ResizeTo(`${name}.back`),
    };
  });
  const join = new JoinChannels("classifier.join");
  const bottleneck = convolution("classifier.bottleneck", 3);
  const drop = new Dropout("classifier.dropout", dropout, 0);
  const classify = new Convolution({
    name: "classifier.conv_seg",
    channels: classes,
    kernel: 1,
    start: smallStart,
  });
  const side = auxiliary ? auxiliaryClassifier(before, classes, dropout) : undefined;
  return {
    taps: auxiliary ? ["c4", "c5"] : ["c5"],
    head: {
      forward(apply, inputs) {
        const map = inputs.at(-1)!;
        const levels = branches.map(({ pool, reduce, back }) =>
          apply(back, apply(reduce, apply(pool, map)), map)
        );
        const joined = apply(join, map, ...levels);
        const logits = through([bottleneck, drop, classify], apply, joined);
        return side ? [logits, through(side, apply, inputs[0])] : [logits];
      },
    },
  };
}
