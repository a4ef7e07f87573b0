/** Fixed networks, as search spaces of one architecture. */
import type { SpaceDefinition } from "../src/elastic/search_space.ts";

/** ResNet-18 for small images: a 3x3 stem and no pool. */
export const resnet18Space: SpaceDefinition = {
  block: "basic",
  stem: { kind: "3x3", widths: [64] },
  widths: [[64], [128], [256], [512]],
  depths: [[2], [2], [2], [2]],
  strides: [1, 2, 2, 2],
  named: {},
};

/** ResNet-50. */
export const resnet50Space: SpaceDefinition = {
  block: "bottleneck",
  stem: { kind: "7x7", widths: [64] },
  widths: [[64], [128], [256], [512]],
  depths: [[3], [4], [6], [3]],
  strides: [1, 2, 2, 2],
  named: {},
};

/** A space of 5 832 small architectures, for the search. */
export const searchedSpace: SpaceDefinition = {
  block: "basic",
  stem: { kind: "3x3", widths: [8, 16] },
  widths: [[8, 12, 16], [12, 16, 24], [16, 24, 32], [24, 32, 48]],
  depths: [[1, 2], [1, 2], [1, 2, 3], [1, 2, 3]],
  strides: [1, 2, 2, 2],
  named: {},
};
