"""Writes a torchvision network with random weights and batchnorm statistics, as users save theirs, and its features of images.

    python3 tests/interop/make_weights.py --network resnet18 --images images.safetensors --out FOLDER

FOLDER gets `weights.pth` (torch.save of the state dict, classifier included), `weights.safetensors` (the same without), and
`features.safetensors`: `c2` … `c5` and `features` (pooled) of the images (`images` f32 [N,3,H,W]) in evaluation mode and float64.
"""
import argparse
import os
import sys

import numpy
import torch
import torchvision

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import safetensors_io  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description="A torchvision network with random weights, and its features.")
    for name in ("network", "images", "out"):
        parser.add_argument(f"--{name}", required=True)
    flags = parser.parse_args()
    torch.manual_seed(1)
    network = getattr(torchvision.models, flags.network)(weights=None)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.3, 0.9)
            torch.nn.init.uniform_(layer.bias, -0.3, 0.3)
            torch.nn.init.uniform_(layer.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)
    weights = network.state_dict()
    torch.save(weights, os.path.join(flags.out, "weights.pth"))
    plain = {name: value.numpy() for name, value in weights.items() if not name.startswith("fc.")}
    safetensors_io.write(os.path.join(flags.out, "weights.safetensors"), plain)
    network = network.double().eval()
    x = torch.from_numpy(numpy.array(safetensors_io.read(flags.images)[0]["images"])).double()
    found = {}
    with torch.no_grad():
        x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
        for stage in range(1, 5):
            x = getattr(network, f"layer{stage}")(x)
            found[f"c{stage + 1}"] = x.numpy().astype(numpy.float32)
        found["features"] = x.mean((2, 3)).numpy().astype(numpy.float32)
    safetensors_io.write(os.path.join(flags.out, "features.safetensors"), found)


if __name__ == "__main__":
    main()
