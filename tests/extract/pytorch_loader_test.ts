import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UsageError } from "../../src/errors.ts";
import { loaderPath, pytorchLoader } from "../../src/extract/pytorch_loader.ts";
import type { ModelDescription } from "../../src/extract/model.ts";
import { SearchSpace, type SpaceDefinition } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { published, resnet18 } from "../elastic/spaces.ts";
import { basicSpace, bottleneckSpace } from "./encoders.ts";

const input = { imageSize: 224, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

function describe(definition: SpaceDefinition, arch: string, dilated?: boolean[]): ModelDescription {
  const network = new ElasticResNet(new SearchSpace(definition), dilated && { dilated });
  return { network: network.cut(network.space.resolve(arch)), input, calibration: undefined };
}

const loader = (definition: SpaceDefinition, arch: string, dilated?: boolean[]) =>
  pytorchLoader("best.safetensors", describe(definition, arch, dilated));

/** A constant of the module's head. */
function constant(text: string, name: string): string {
  return new RegExp(`^${name} = (.*)$`, "m").exec(text)![1];
}

const constants = (text: string, ...names: string[]) => names.map((name) => constant(text, name));

Deno.test("a loader says the architecture and the images of its model", () => {
  const text = loader(bottleneckSpace, "6-4.6.12.12-1.2.1.1");
  assertEquals(
    constants(text, "ARCH", "BLOCK", "STEM", "STEM_WIDTH", "WIDTHS", "DEPTHS", "STRIDES", "FEATURES"),
    [
      '"6-4.6.12.12-1.2.1.1"',
      '"bottleneck"',
      '"7x7"',
      "6",
      "[4, 6, 12, 12]",
      "[1, 2, 1, 1]",
      "[1, 2, 2, 2]",
      "48",
    ],
  );
  assertEquals(constants(text, "SIZE", "RESIZE", "MEAN", "STD"), [
    "224",
    "256",
    "[0.485, 0.456, 0.406]",
    "[0.229, 0.224, 0.225]",
  ]);
  const model = describe(bottleneckSpace, "min");
  const other = pytorchLoader("m.safetensors", { ...model, input: { ...input, resize: 230 } });
  assertEquals(constants(other, "SIZE", "RESIZE"), ["224", "230"]);
  assertStringIncludes(constant(text, "WEIGHTS"), '"best.safetensors")');
  assertStringIncludes(text, "model.load_state_dict(read_weights(path), strict=True)");
  assertStringIncludes(text, "from load_best import load, preprocess");
});

Deno.test("a loader imports nothing but Python's own modules and torch, but where it is asked to", () => {
  const text = loader(published, "r50");
  const atOnce = [...text.matchAll(/^(?:import|from) (\w+)/gm)].map(([, module]) => module);
  assertEquals(new Set(atOnce), new Set(["argparse", "json", "os", "struct", "torch"]));
  assertStringIncludes(text, "def torchvision_model(path=WEIGHTS):");
  assert(!/\$\{|undefined|null|true|false/.test(text));
});

Deno.test("projections of the supernet stay in what is cut out of it", () => {
  // As wide as its stem: a fixed network would not project the first shortcut, the supernet did.
  const kept = loader(basicSpace, "8-8.6.16-1.2.1");
  assertEquals(constants(kept, "PROJECTED", "DILATED"), ["[True, True, True]", "[False, False, False]"]);
  assertEquals(constant(loader(resnet18, "max"), "PROJECTED"), "[False, True, True, True]");
  const dilated = loader(published, "r50", [false, false, true, true]);
  assertEquals(constant(dilated, "DILATED"), "[False, False, True, True]");
});

Deno.test("torchvision's and timm's name is said where they have one, else why not", () => {
  const r50 = loader(published, "r50");
  assertStringIncludes(r50, "    model = torchvision.models.resnet50()\n");
  assertStringIncludes(r50, '    model = timm.create_model("resnet50", num_classes=0)\n');
  assertStringIncludes(loader(resnet18, "max"), "    model = torchvision.models.resnet18()\n");
  const r77 = loader(published, "r77");
  assertStringIncludes(r77, "    model = resnet.ResNet(resnet.Bottleneck, [3, 4, 15, 3])\n");
  assertStringIncludes(r77, "    model = resnet.ResNet(resnet.Bottleneck, [3, 4, 15, 3], num_classes=0)\n");
  const odd = loader(published, "64-48.160.320.384-2.6.5.4");
  assertStringIncludes(
    odd,
    "# torchvision has no such network: its widths are 48, 160, 320, 384 in place of",
  );
  assertStringIncludes(
    odd,
    "resnet.ResNet(resnet.Bottleneck, [2, 6, 5, 4], channels=(48, 160, 320, 384), num_classes=0)",
  );
  const none = (text: string, why: string) => {
    assertStringIncludes(text, `# torchvision has no such network: ${why}`);
    assertStringIncludes(text, `# timm has no such network: ${why}`);
    assert(!text.includes("def timm_model") && !text.includes("def torchvision_model"));
  };
  none(loader(published, "48-64.128.256.512-3.4.7.3"), "its stem has 48 channels in place of 64.");
  none(loader(basicSpace, "max"), "its stem is 3x3 with stride 1, without pooling.");
  none(loader(published, "r50", [false, false, true, true]), "it is dilated.");
  const wider = {
    ...resnet18,
    stem: { kind: "7x7", widths: [48, 64] },
    depths: [[2], [2], [2], [2]],
  } as const;
  none(loader(wider, "max"), "the first basic block of its stage 1 keeps a projection of the shortcut.");
  none(
    loader({ ...resnet18, strides: [2, 2, 2, 2] }, "max"),
    "its strides are 2, 2, 2, 2 in place of 1, 2, 2, 2.",
  );
});

Deno.test("a loader's name can be imported, whatever the model is called", () => {
  assertEquals(
    ["8-8.6.safetensors", "my models/größe 1.safetensors", "torch.safetensors", "x.y.safetensors"].map(
      loaderPath,
    ),
    ["load_8_8_6.py", "my models/load_gr__e_1.py", "load_torch.py", "load_x_y.py"],
  );
  const text = pytorchLoader('a "b" \\ c.safetensors', describe(basicSpace, "min"));
  assertStringIncludes(constant(text, "WEIGHTS"), String.raw`"a \"b\" \\ c.safetensors")`);
});

Deno.test("what is no ResNet has no loader", () => {
  const { network, ...rest } = describe(basicSpace, "min");
  const other = { ...network, space: network.space, segments: network.segments };
  assertThrows(
    () => pytorchLoader("m.safetensors", { network: other as typeof network, ...rest }),
    UsageError,
    "for a ResNet only",
  );
});
