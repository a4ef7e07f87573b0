/** What torchvision's detectors call their weights. */
import type { HostWeights } from "../onnx_graph.ts";

const body = "backbone.body.";

/** Names of torchvision's published files, which are older than its models, and what they are called since version 0.14. */
const renamed: readonly (readonly [RegExp, string])[] = [
  [/^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$/, "$1.0.$2"],
  [/^rpn\.head\.conv\.(weight|bias)$/, "rpn.head.conv.0.0.$1"],
];

/** A weight's name in torchvision 0.14, out of that or an older one. */
export function currentName(name: string): string {
  const mask = /^roi_heads\.mask_head\.mask_fcn(\d+)\.(weight|bias)$/.exec(name);
  if (mask) return `roi_heads.mask_head.${Number(mask[1]) - 1}.0.${mask[2]}`;
  return renamed.reduce((current, [pattern, replacement]) => current.replace(pattern, replacement), name);
}

/** The weights of a detector. */
export interface DetectorWeights {
  /** Under the names of a ResNet, e.g. `layer1.0.conv1.weight`. */
  readonly backbone: HostWeights;
  /** Pyramid and heads. */
  readonly heads: HostWeights;
}

/** Takes a model's weights apart. Numbers of batches that batchnorm has seen, which frozen batchnorm has not, are left out. */
export function splitWeights(weights: HostWeights): DetectorWeights {
  const backbone = new Map<string, HostWeights extends ReadonlyMap<string, infer W> ? W : never>();
  const heads = new Map(backbone);
  for (const [name, weight] of weights) {
    if (name.endsWith(".num_batches_tracked")) continue;
    if (name.startsWith(body)) backbone.set(name.slice(body.length), weight);
    else heads.set(currentName(name), weight);
  }
  return { backbone, heads };
}

/** A model's weights under the names of torchvision 0.14. */
export function joinWeights({ backbone, heads }: DetectorWeights): HostWeights {
  return new Map([...[...backbone].map(([name, weight]) => [body + name, weight] as const), ...heads]);
}
