/**
 * The head of PSPNet (Zhao et al. 2017) as mmsegmentation has it: the last map is pooled to grids of 1, 2, 3 and 6 cells a
 * side; each goes through a 1x1 convolution to a quarter of the channels with batchnorm and ReLU, and is interpolated back;
 * all of them and the map itself are joined, and a 3x3 convolution to a quarter with batchnorm and ReLU, dropout and a 1x1
 * convolution classify. Unless a width is given it follows the backbone's: 512 for 2048 channels, as published.
 */
import type { TappedHead } from "../headed_network.ts";
import { Dropout, GridPool, JoinChannels, ResizeTo } from "../map_layers.ts";
import { Convolution, smallStart } from "../plain_layers.ts";
import {
  auxiliaryClassifier,
  namedConvolution,
  quarterOf,
  type SegmentationHeadDefinition,
  through,
} from "./classifier.ts";

/** Cells a side of the grids. */
const grids = [1, 2, 3, 6];

/** The head of PSPNet: logits at the resolution of the last map, then those of the auxiliary classifier, if any. */
export function pspHead(definition: SegmentationHeadDefinition): TappedHead {
  const { classes, channels: [, last], auxiliary, dropout } = definition;
  const width = definition.width ?? quarterOf(last);
  const branches = grids.map((side, at) => {
    const name = `classifier.psp_modules.${at}`;
    return {
      pool: new GridPool(`${name}.0`, side),
      reduce: namedConvolution(`${name}.1`, width, 1),
      back: new ResizeTo(`${name}.back`),
    };
  });
  const join = new JoinChannels("classifier.join");
  const bottleneck = namedConvolution("classifier.bottleneck", width, 3);
  const drop = new Dropout("classifier.dropout", dropout.probability, 0, dropout.channels);
  const classify = new Convolution({
    name: "classifier.conv_seg",
    channels: classes,
    kernel: 1,
    start: smallStart,
  });
  const side = auxiliary ? auxiliaryClassifier(definition) : undefined;
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
