/** The networks of a detector behind its backbone (Lin et al. 2017, Ren et al. 2015, He et al. 2017); names are torchvision's. */
import type { NetworkHead } from "../heads.ts";
import { MaxPool } from "../layers.ts";
import {
  Convolution,
  Enlargement,
  fanOutStart,
  Linear,
  NearestSum,
  pyramidStart,
  smallStart,
  uniformStart,
} from "../plain_layers.ts";

/**
 * A feature pyramid: taps from fine to coarse in; as many maps of one width out, each with what is coarser added to it, and
 * one more, every second pixel of the coarsest.
 */
export function featurePyramid(taps: number, channels: number): NetworkHead {
  const block = (name: string, kernel: number) => (_: unknown, level: number) =>
    new Convolution({ name: `backbone.fpn.${name}.${level}.0`, channels, kernel, start: pyramidStart });
  const inner = Array.from({ length: taps }, block("inner_blocks", 1));
  const outer = Array.from({ length: taps }, block("layer_blocks", 3));
  const sums = Array.from({ length: taps - 1 }, (_, level) => new NearestSum(`backbone.fpn.sum.${level}`));
  const pool = new MaxPool("backbone.fpn.pool", 1, 2, 0);
  return {
    forward(apply, inputs) {
      const laterals = inputs.map((tap, level) => apply(inner[level], tap));
      let top = laterals[taps - 1];
      const maps = [apply(outer[taps - 1], top)];
      for (let level = taps - 2; level >= 0; level--) {
        top = apply(sums[level], top, laterals[level]);
        maps.unshift(apply(outer[level], top));
      }
      return [...maps, apply(pool, maps[taps - 1])];
    },
  };
}

/**
 * The head of a region proposal network, the same on each map: for each map, one after the other, logits [N, anchors, H, W] and
 * deltas [N, 4 anchors, H, W].
 */
export function proposalHead(channels: number, anchors: number): NetworkHead {
  const start = smallStart;
  const hidden = new Convolution({ name: "rpn.head.conv.0.0", channels, kernel: 3, relu: true, start });
  const logits = new Convolution({ name: "rpn.head.cls_logits", channels: anchors, kernel: 1, start });
  const deltas = new Convolution({ name: "rpn.head.bbox_pred", channels: 4 * anchors, kernel: 1, start });
  return {
    forward(apply, maps) {
      return maps.flatMap((map) => {
        const value = apply(hidden, map);
        return [apply(logits, value), apply(deltas, value)];
      });
    },
  };
}

/** Pooled regions [R, C, bins, bins] in; logits [R, classes] and codes [R, 4 classes], or with `agnostic` [R, 4], out. */
export function boxHead(hidden: number, classes: number, agnostic: boolean): NetworkHead {
  const layer = (name: string, features: number, relu: boolean) =>
    new Linear({ name: `roi_heads.${name}`, features, relu, start: uniformStart });
  const first = layer("box_head.fc6", hidden, true), second = layer("box_head.fc7", hidden, true);
  const logits = layer("box_predictor.cls_score", classes, false);
  const codes = layer("box_predictor.bbox_pred", agnostic ? 4 : 4 * classes, false);
  return {
    forward(apply, [regions]) {
      const features = apply(second, apply(first, regions));
      return [apply(logits, features), apply(codes, features)];
    },
  };
}

/** Pooled regions [R, C, bins, bins] in; logits of masks [R, classes, 2 bins, 2 bins] out. */
export function maskHead(convolutions: readonly number[], hidden: number, classes: number): NetworkHead {
  const layers = convolutions.map((channels, index) =>
    new Convolution({
      name: `roi_heads.mask_head.${index}.0`,
      channels,
      kernel: 3,
      relu: true,
      start: fanOutStart,
    })
  );
  const start = { weight: fanOutStart.weight, bias: uniformStart.bias };
  const predictor = "roi_heads.mask_predictor";
  const enlarged = new Enlargement({
    name: `${predictor}.conv5_mask`,
    channels: hidden,
    factor: 2,
    relu: true,
    start,
  });
  const logits = new Convolution({
    name: `${predictor}.mask_fcn_logits`,
    channels: classes,
    kernel: 1,
    start,
  });
  return {
    forward(apply, [regions]) {
      const features = layers.reduce((value, layer) => apply(layer, value), regions);
      return [apply(logits, apply(enlarged, features))];
    },
  };
}
