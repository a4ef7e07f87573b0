"""Loads an extracted model into torchvision, strictly, and writes its feature maps: to compare with Scion's own.

    python3 tests/interop/torchvision_check.py --model subnet.safetensors --images images.safetensors \
        --out features.safetensors [--against other.safetensors]

The network is torchvision's ResNet of the block, widths and depths that the file's tensor shapes tell, with the strides of its
metadata; a 3x3 stem has stride 1 and no max-pool. `--images` is a tensor file (`images` f32 [N,3,H,W]). The output holds `c2`, `c3`, … and
`features` (pooled), in evaluation mode and float64, and as metadata whether the file loads into torchvision's `resnet50` as it
is; tensors of the same names in `--against` are compared.
"""
import argparse
import json
import os
import re
import sys

import numpy
import torch
import torchvision
from torchvision.models import resnet

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import safetensors_io  # noqa: E402


def build(tensors, strides):
    """An untrained torchvision ResNet without classifier whose shapes are those of the tensors."""
    shape = {name: value.shape for name, value in tensors.items()}
    kind = resnet.Bottleneck if "layer1.0.conv3.weight" in shape else resnet.BasicBlock
    stem, _, kernel, _ = shape["conv1.weight"]
    network = resnet.ResNet(kind, [1, 1, 1, 1])
    large = kernel == 7
    network.conv1 = torch.nn.Conv2d(3, stem, *((7, 2, 3) if large else (3, 1, 1)), bias=False)
    network.bn1 = torch.nn.BatchNorm2d(stem)
    if not large:
        network.maxpool = torch.nn.Identity()
    for stage in range(1, 5):
        setattr(network, f"layer{stage}", torch.nn.Identity())
    inputs = stem
    for stage, first_stride in enumerate(strides, 1):
        width = shape[f"layer{stage}.0.conv1.weight"][0]
        outputs, blocks = width * kind.expansion, []
        depth = 1 + max(int(found[1]) for found in (re.match(rf"layer{stage}\.(\d+)\.", name) for name in shape) if found)
        for index in range(depth):
            stride, shortcut = first_stride if index == 0 else 1, None
            if f"layer{stage}.{index}.downsample.0.weight" in shape:
                shortcut = torch.nn.Sequential(torch.nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                                               torch.nn.BatchNorm2d(outputs))
            blocks.append(kind(inputs, width, stride, shortcut))
            inputs = outputs
        setattr(network, f"layer{stage}", torch.nn.Sequential(*blocks))
    return network


def load(network, tensors):
    """Fills the network strictly: every tensor finds its place and every place its tensor. An extracted model has no
    classifier; batchnorm's counts of batches, which no inference reads, PyTorch fills in itself."""
    network.fc = torch.nn.Identity()
    network.load_state_dict({name: torch.from_numpy(numpy.array(value)) for name, value in tensors.items()}, strict=True)
    return network.eval()


def fits_resnet50(tensors):
    """Whether the tensors load strictly into torchvision's ResNet-50 without classifier."""
    try:
        load(torchvision.models.resnet50(weights=None), tensors)
        return True
    except RuntimeError:
        return False


def main():
    parser = argparse.ArgumentParser(description="Feature maps of an extracted model, by torchvision.")
    for name in ("model", "images", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--against", help="safetensors file whose c2, …, features are compared; status 1 beyond 1e-4")
    flags = parser.parse_args()
    tensors, metadata = safetensors_io.read(flags.model)
    print({name: value for name, value in metadata.items() if len(value) < 200})
    strides = json.loads(metadata["strides"])
    network = load(build(tensors, strides), tensors).double()
    resnet50 = fits_resnet50(tensors)
    print("loads into torchvision.models.resnet50 as it is" if resnet50 else "another shape than torchvision.models.resnet50")
    x = torch.from_numpy(numpy.array(safetensors_io.read(flags.images)[0]["images"])).double()
    found = {}
    with torch.no_grad():
        x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
        for stage in range(1, len(strides) + 1):
            x = getattr(network, f"layer{stage}")(x)
            found[f"c{stage + 1}"] = x.numpy().astype(numpy.float32)
        found["features"] = x.mean((2, 3)).numpy().astype(numpy.float32)
    safetensors_io.write(flags.out, found, {"resnet50": str(resnet50).lower()})
    failed = False
    if flags.against:
        others = safetensors_io.read(flags.against)[0]
        shared = [name for name in found if name in others]
        failed = not shared
        for name in shared:
            error = numpy.abs(found[name] - others[name]).max() / numpy.abs(found[name]).max()
            failed = failed or not error <= 1e-4
            print(f"{error:.2e}  {name}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
