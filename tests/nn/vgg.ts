/** An elastic network that is no ResNet: plain 3x3 convolutions, elastic in width and depth (Simonyan & Zisserman 2015). */
import { elasticNetwork, segment } from "../../src/elastic/network.ts";
import { sequence } from "../../src/elastic/unit.ts";
import { ConvolutionBatchnorm, MaxPool, type NetworkLayer } from "../../src/nn/layers.ts";
import type { Network } from "../../src/nn/network.ts";

function convolution(name: string, channels: number): ConvolutionBatchnorm {
  return new ConvolutionBatchnorm({
    convolution: `${name}.convolution`,
    batchnorm: `${name}.batchnorm`,
    channels,
    kernel: 3,
    relu: `${name}.relu`,
  });
}

function stage(name: string, pooled: boolean, widths: readonly number[], depths: readonly number[]) {
  return segment({
    name,
    tap: name,
    choices: { width: widths, depth: depths },
    units: ({ width, depth }) =>
      Array.from({ length: depth }, (_, index) => {
        const layers: NetworkLayer[] = [convolution(`${name}.${index}`, width)];
        // The pool comes first, so that any depth of the stage before leads to the same map.
        if (pooled && index === 0) layers.unshift(new MaxPool(`${name}.pool`, 2, 2, 0));
        return sequence(`${name}.${index} ${width}`, layers);
      }),
  });
}

/** 64 architectures of three stages. */
export function elasticVgg(): Network {
  return elasticNetwork([
    stage("full", false, [4, 8], [1, 2]),
    stage("half", true, [8, 12], [1, 3]),
    stage("quarter", true, [12, 16], [1, 2]),
  ]);
}
