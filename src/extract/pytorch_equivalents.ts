/**
 * How torchvision and timm call a ResNet that was cut out, where they have one. Both name the layers as the weights do.
 *
 * torchvision's `ResNet(block, layers)` has a 7x7 stem of 64 channels and four stages of 64, 128, 256 and 512 with
 * strides 1, 2, 2, 2, and projects a shortcut only where its shape changes. timm's `ResNet(block, layers, channels=…)` is
 * the same at any widths of the stages, in those of its versions that have this argument.
 */
import type { ElasticResNet } from "../nn/resnet.ts";

/** How a library builds a network: Python's imports and expression, or why it cannot. */
export type Equivalent =
  | { readonly imports: string; readonly expression: string }
  | { readonly none: string };

/** Depths that have a name of their own, in both libraries. */
const named: Readonly<Record<string, string>> = {
  "basic 2,2,2,2": "resnet18",
  "basic 3,4,6,3": "resnet34",
  "bottleneck 3,4,6,3": "resnet50",
  "bottleneck 3,4,23,3": "resnet101",
  "bottleneck 3,8,36,3": "resnet152",
};

const usualWidths = [64, 128, 256, 512];

/** Why no ResNet of either library has these layers; undefined where widths alone may differ. */
function otherLayers({ space, options }: ElasticResNet): string | undefined {
  const { definition: { stem, strides, widths, block }, expansion, stages } = space;
  if (stem.kind !== "7x7") return "its stem is 3x3 with stride 1, without pooling";
  if (stem.widths[0] !== 64) return `its stem has ${stem.widths[0]} channels in place of 64`;
  if (stages !== 4) return `it has ${stages} stages in place of 4`;
  if (strides.join() !== "1,2,2,2") return `its strides are ${strides.join(", ")} in place of 1, 2, 2, 2`;
  if (options.dilated?.includes(true)) return "it is dilated";
  for (let stage = 0, inputs = 64; stage < stages; stage++) {
    const outputs = widths[stage][0] * expansion;
    if (space.hasDownsample(stage) !== (strides[stage] !== 1 || inputs !== outputs)) {
      return `the first ${block} block of its stage ${stage + 1} keeps a projection of the shortcut`;
    }
    inputs = outputs;
  }
}

/** The network by torchvision and by timm, both without a classifier. */
export function equivalents(network: ElasticResNet): { torchvision: Equivalent; timm: Equivalent } {
  const other = otherLayers(network);
  if (other !== undefined) return { torchvision: { none: other }, timm: { none: other } };
  const { definition } = network.space;
  const widths = definition.widths.map(([width]) => width);
  const depths = definition.depths.map(([depth]) => depth);
  const usual = widths.join() === usualWidths.join();
  const name = usual ? named[`${definition.block} ${depths.join()}`] : undefined;
  const block = definition.block === "bottleneck" ? "Bottleneck" : "BasicBlock";
  const layers = `[${depths.join(", ")}]`;
  const channels = usual ? "" : `, channels=(${widths.join(", ")})`;
  return {
    torchvision: !usual
      ? { none: `its widths are ${widths.join(", ")} in place of ${usualWidths.join(", ")}` }
      : name !== undefined
      ? { imports: "import torchvision", expression: `torchvision.models.${name}()` }
      : {
        imports: "from torchvision.models import resnet",
        expression: `resnet.ResNet(resnet.${block}, ${layers})`,
      },
    timm: name !== undefined
      ? { imports: "import timm", expression: `timm.create_model("${name}", num_classes=0)` }
      : {
        imports: "from timm.models import resnet",
        expression: `resnet.ResNet(resnet.${block}, ${layers}${channels}, num_classes=0)`,
      },
  };
}
