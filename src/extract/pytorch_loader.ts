/**
 * A Python module for an extracted model: it builds exactly this network, loads the weights strictly and prepares images.
 * Its head is written here for the model; the rest, pytorch_loader.py, is the same for all.
 */
import { basename, dirname, join } from "@std/path";
import { evaluationResize } from "../data/evaluation_image.ts";
import { UsageError } from "../errors.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { featureChannels } from "../elastic/network.ts";
import { ElasticResNet } from "../nn/resnet.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { version } from "../version.ts";
import type { ModelDescription } from "./model.ts";
import { type Equivalent, equivalents } from "./pytorch_equivalents.ts";
import body from "./pytorch_loader.py" with { type: "text" };

/** A loader's first line begins so. */
export const loaderMark = '"""Written by Scion';

/** The loader of a model file: `best/a-b.safetensors` has `best/load_a_b.py`, a name that Python can import. */
export function loaderPath(model: string): string {
  const name = basename(model).replace(/\.safetensors$/, "").replace(/[^A-Za-z0-9_]/g, "_");
  return join(dirname(model), `load_${name}.py`);
}

/**
 * Writes the loader of a model file beside it, atomically.
 *
 * @returns its path
 * @throws {UsageError} when the network is no ResNet
 * @throws {DataError} when the file system refuses
 */
export async function writeLoader(modelPath: string, model: ModelDescription): Promise<string> {
  const path = loaderPath(modelPath);
  await writeFileAtomically(path, pytorchLoader(basename(modelPath), model));
  return path;
}

/**
 * The module's text.
 *
 * @param file name of the model's file, beside which the module will lie
 * @throws {UsageError} when the network is no ResNet
 */
export function pytorchLoader(file: string, { network, input, classes }: ModelDescription): string {
  if (!(network instanceof ElasticResNet)) {
    throw new UsageError("A loader can be written for a ResNet only. Leave --loader out, or write .onnx.");
  }
  const { space, options } = network;
  const { block, stem, widths, depths, strides } = space.definition;
  const module = basename(loaderPath(file), ".py");
  const { imageSize, resize = evaluationResize(imageSize), mean, std } = input;
  const { torchvision, timm } = equivalents(network);
  const stages = Array.from({ length: space.stages }, (_, stage) => stage);
  return `${loaderMark} ${version}: the network ${formatArchitecture(space.max)}, its weights and its images.

    python3 ${module}.py [IMAGE …] [--out FEATURES.pt]

prints the shapes of its features, and writes them. In a program, beside which this file and the weights lie:

    from ${module} import load, preprocess

    model = load()                                            # torch.nn.Module, in evaluation mode
    outputs = model(preprocess(PIL.Image.open("photo.jpg"))[None])
    outputs["features"]                                       # [N, ${
    featureChannels(network, space.max)
  }], beside c2, c3, …${
    classes
      ? `\n    outputs["logits"]                                         # [N, ${classes.length}], of CLASSES`
      : ""
  }

Needs PyTorch 1.11 or newer and nothing else; Pillow where images are given as such.
"""
import argparse
import json
import os
import struct

import torch
from torch import nn
from torch.nn import functional

# The weights, beside this file.
WEIGHTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), ${pythonText(file)})

# The architecture.
ARCH = ${pythonText(formatArchitecture(space.max))}
BLOCK = "${block}"
STEM = "${stem.kind}"
STEM_WIDTH = ${stem.widths[0]}
WIDTHS = ${pythonList(widths.map(([width]) => width))}
DEPTHS = ${pythonList(depths.map(([depth]) => depth))}
STRIDES = ${pythonList(strides)}
# Stages whose stride is replaced by dilation.
DILATED = ${pythonList(stages.map((stage) => options.dilated?.[stage] ?? false))}
# Stages whose first block projects its shortcut by a 1x1 convolution.
PROJECTED = ${pythonList(stages.map((stage) => space.hasDownsample(stage)))}
FEATURES = ${featureChannels(network, space.max)}
# Names of the classes that its classifier tells apart; None for a backbone alone.
CLASSES = ${classes ? `[${classes.map(pythonText).join(", ")}]` : "None"}

# The images: side in pixels, side that the shorter one is resized to before the central crop, and normalisation.
SIZE = ${imageSize}
RESIZE = ${resize}
MEAN = ${pythonList(mean)}
STD = ${pythonList(std)}

${body.trimEnd().replace(mainStart, () => equivalentText(torchvision, timm) + mainStart)}
`;
}

const mainStart = "def main():";

function equivalentText(torchvision: Equivalent, timm: Equivalent): string {
  return [["torchvision", torchvision] as const, ["timm", timm] as const].map(([library, equivalent]) =>
    "none" in equivalent
      ? `# ${library} has no such network: ${equivalent.none}.\n\n\n`
      : `def ${library}_model(path=WEIGHTS):
    """The same network built by ${library}: features [N, FEATURES] or, of CLASSES, logits."""
    ${equivalent.imports}

    model = ${equivalent.expression}
    model.fc = nn.Identity() if CLASSES is None else nn.Linear(FEATURES, len(CLASSES))
    model.load_state_dict(read_weights(path), strict=True)
    return model.eval()


`
  ).join("");
}

/** A text as a Python literal. */
function pythonText(text: string): string {
  return JSON.stringify(text);
}

function pythonList(values: readonly (number | boolean)[]): string {
  return `[${values.map((value) => value === true ? "True" : value === false ? "False" : value).join(", ")}]`;
}
