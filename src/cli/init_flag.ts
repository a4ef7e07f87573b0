/** `--init`: the weights that a run starts from, and the configuration that goes with them. */
import type { Override } from "../config/overrides.ts";
import { UsageError } from "../errors.ts";
import { describeSource } from "../pretrain/init/source.ts";
import { openWeightsFile } from "../store/open_weights.ts";
import type { Flag } from "./flags.ts";

export const initFlag = {
  type: "string",
  placeholder: "FILE",
  description:
    "Start from a ResNet's weights: .safetensors, or a .pth or .pt of tensors, with torchvision's names; without " +
    "--config, configs/ has one for ResNet-18, 34, 50 and 101. All subnets then learn its features (--teacher self), " +
    "unless another teacher is given, or none: --set distillation.teacher=null",
} as const satisfies Flag;

/** The configurations for torchvision's networks, by their blocks and architecture; each has a 7x7 stem. */
export const configurations: Readonly<Record<string, string>> = {
  "basic 64-64.128.256.512-2.2.2.2": "configs/resnet18.json",
  "basic 64-64.128.256.512-3.4.6.3": "configs/resnet34.json",
  "bottleneck 64-64.128.256.512-3.4.6.3": "configs/resnet50.json",
  "bottleneck 64-64.128.256.512-3.4.23.3": "configs/resnet101.json",
};

/**
 * What the flag sets of a configuration: the file, of which no checksum is known yet, and, where nothing else is said, that
 * the subnets learn what the file's network knows.
 */
export function initOverrides(file: string): Override[] {
  return [
    { path: "initialisation.weights", value: file, flag: "--init" },
    { path: "initialisation.weightsSha256", value: null, flag: "--init" },
    { path: "distillation.teacher", value: "self", flag: "--init", yields: true },
  ];
}

/**
 * The configuration whose largest architecture is that of a file's network.
 *
 * @throws {DataError} for a file that cannot be used
 * @throws {UsageError} when there is none, saying what to give
 */
export async function configurationFor(file: string): Promise<string> {
  using weights = await openWeightsFile(file);
  const { network: { space: { max, definition } } } = describeSource(weights);
  const found = configurations[`${definition.block} ${max.id}`];
  if (found !== undefined && definition.stem.kind === "7x7") return found;
  throw new UsageError(
    `--init ${file} is a ResNet ${max.id} of ${definition.block} blocks with a ${definition.stem.kind} stem, for which ` +
      `configs/ has no configuration. Give one with --config whose largest architecture is that; ` +
      `${configurations[`${definition.block} 64-64.128.256.512-3.4.6.3`]} is a start.`,
  );
}
