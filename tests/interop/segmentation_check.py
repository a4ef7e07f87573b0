"""Loads a trained segmentation strictly into torchvision's FCN, and writes its logits, to compare with Scion's own.

    python3 tests/interop/segmentation_check.py --model model.safetensors --images images.safetensors --out logits.safetensors

A head of several convolutions, joined with their input, is one of torch.nn. The backbone is torchvision's ResNet of the file's widths and depths, made by torchvision's own layers with
`replace_stride_with_dilation`; `--images` holds `images` f32 [N,3,H,W]. The output holds `logits` and, where the file has
an auxiliary classifier, `auxiliary`, both interpolated to the images' size, in evaluation mode and float64.
"""
import argparse
import json
import os
import re
import sys

import numpy
import torch
from torch import nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.segmentation.fcn import FCN, FCNHead

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import safetensors_io  # noqa: E402
from segmentation_heads import JoinedHead  # noqa: E402


class Shaped(ResNet):
    """A ResNet of other widths and depths; `_make_layer`, and with it strides and dilations, are torchvision's."""

    def __init__(self, shape, strides, dilated):
        nn.Module.__init__(self)
        kind = Bottleneck if "backbone.layer1.0.conv3.weight" in shape else BasicBlock
        stem = shape["backbone.conv1.weight"][0]
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, stem, 1, 1, 64
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for stage, (stride, dilate) in enumerate(zip(strides, dilated), 1):
            blocks = {int(found[1]) for found in (re.match(rf"backbone\.layer{stage}\.(\d+)\.", name) for name in shape) if found}
            width = shape[f"backbone.layer{stage}.0.conv1.weight"][0]
            setattr(self, f"layer{stage}", self._make_layer(kind, width, len(blocks), stride, dilate))


def main_head(shape, classes):
    if "classifier.0.weight" in shape:
        return FCNHead(shape["classifier.0.weight"][1], classes)
    convolutions = sum(re.fullmatch(r"classifier\.convs\.\d+\.conv\.weight", name) is not None for name in shape)
    channels, inputs = shape["classifier.convs.0.conv.weight"][:2]
    return JoinedHead(inputs, channels, convolutions, classes)


def main():
    parser = argparse.ArgumentParser(description="Logits of a trained segmentation, by torchvision.")
    for name in ("model", "images", "out"):
        parser.add_argument(f"--{name}", required=True)
    flags = parser.parse_args()
    tensors, metadata = safetensors_io.read(flags.model)
    shape = {name: value.shape for name, value in tensors.items()}
    strides = json.loads(metadata["strides"])
    dilated = json.loads(metadata.get("dilated", json.dumps([False] * len(strides))))
    stages = len(strides)
    network = Shaped(shape, strides, dilated)
    names = {f"layer{stages}": "out"}
    heads = [main_head(shape, len(json.loads(metadata["classes"])))]
    if "aux_classifier.0.weight" in shape:
        names[f"layer{stages - 1}"] = "aux"
        heads.append(FCNHead(shape["aux_classifier.0.weight"][1], len(json.loads(metadata["classes"]))))
    model = FCN(IntermediateLayerGetter(network, names), *heads)
    own = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    if own != set(tensors):
        raise SystemExit(f"other names: {sorted(own ^ set(tensors))}")
    # Strict; batchnorm's counts of batches, which no inference reads, PyTorch fills in itself.
    model.load_state_dict({name: torch.from_numpy(numpy.array(value)) for name, value in tensors.items()}, strict=True)
    images = torch.from_numpy(numpy.array(safetensors_io.read(flags.images)[0]["images"])).double()
    with torch.no_grad():
        found = model.double().eval()(images)
    logits = {"logits": found["out"]} | ({"auxiliary": found["aux"]} if "aux" in found else {})
    safetensors_io.write(flags.out, {name: value.numpy().astype(numpy.float32) for name, value in logits.items()})


if __name__ == "__main__":
    main()
