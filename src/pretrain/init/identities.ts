/**
 * Shortcuts that are identities in given weights and projections in a supernet, whose widths around them can be chosen: a
 * 1x1 convolution and a batchnorm that together hand on what they get.
 */
import { batchnormTensors, type ChannelGroup, type Connections } from "../../nn/channels.ts";
import type { ElasticResNet } from "../../nn/resnet.ts";
import type { Shape } from "../../shape.ts";

/** A tensor on the host. */
export interface HostTensor {
  readonly shape: Shape;
  readonly data: Float32Array<ArrayBuffer>;
}

/** Projections that a source has not. */
export interface Identities {
  /** Their tensors, as wide as the source. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Names of their batchnorms. */
  readonly batchnorms: readonly string[];
  /** What each writes is, in the source, what it reads. */
  readonly same: ReadonlyMap<ChannelGroup, ChannelGroup>;
}

/** Batchnorm's. */
export const epsilon = 1e-5;

/** The projections among a supernet's layers that are identities in the source, with running statistics 0 and 1. */
export function identitiesFor(source: ElasticResNet, { layers }: Connections): Identities {
  const { space } = source;
  const tensors = new Map<string, HostTensor>();
  const batchnorms: string[] = [];
  const same = new Map<ChannelGroup, ChannelGroup>();
  for (const { convolution, batchnorm, input, output } of layers) {
    const [, stage] = /^layer(\d+)\.0\.downsample\.0$/.exec(convolution) ?? [];
    if (stage === undefined || space.hasDownsample(Number(stage) - 1)) continue;
    const channels = space.max.widths[Number(stage) - 1] * space.expansion;
    const identity = new Float32Array(channels * channels);
    for (let channel = 0; channel < channels; channel++) identity[channel * (channels + 1)] = 1;
    tensors.set(`${convolution}.weight`, { shape: [channels, channels, 1, 1], data: identity });
    const starts = { weight: Math.sqrt(1 + epsilon), bias: 0, running_mean: 0, running_var: 1 };
    for (const name of batchnormTensors) {
      const data = new Float32Array(channels).fill(starts[name]);
      tensors.set(`${batchnorm}.${name}`, { shape: [channels], data });
    }
    batchnorms.push(batchnorm);
    same.set(output, same.get(input!) ?? input!);
  }
  return { tensors, batchnorms, same };
}
