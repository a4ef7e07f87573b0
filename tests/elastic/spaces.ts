import type { SpaceDefinition } from "../../src/elastic/search_space.ts";

/** The published ImageNet space, with ResNets of fixed shape as names. */
export const published: SpaceDefinition = {
  block: "bottleneck",
  stem: { kind: "7x7", widths: [32, 48, 64] },
  widths: [[48, 64, 80], [96, 128, 160], [192, 256, 320], [384, 512, 640]],
  depths: [[2, 3, 4], [2, 4, 6], [5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29], [2, 3, 4]],
  strides: [1, 2, 2, 2],
  named: {
    r50: "64-64.128.256.512-3.4.6.3",
    r77: "64-64.128.256.512-3.4.15.3",
    r101: "64-64.128.256.512-3.4.23.3",
  },
};

/** ResNet-18 as torchvision defines it: one architecture. */
export const resnet18: SpaceDefinition = {
  block: "basic",
  stem: { kind: "7x7", widths: [64] },
  widths: [[64], [128], [256], [512]],
  depths: [[2], [2], [2], [2]],
  strides: [1, 2, 2, 2],
  named: {},
};

/** A small space of two stages. */
export const small: SpaceDefinition = {
  block: "basic",
  stem: { kind: "3x3", widths: [4, 8] },
  widths: [[8], [8, 12, 16]],
  depths: [[1, 2], [1, 3]],
  strides: [1, 2],
  named: { middle: "4-8.12-2.1" },
};
