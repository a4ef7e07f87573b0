"""Makes zero_cost.safetensors: zero-cost scores of small untrained networks as their published code computes them, in float64.

    python3 tests/golden/make_zero_cost.py [--check]

Weights and images are float32 numbers; the scores are computed in float64 from exactly these.
"""
import json
import os

import numpy
import torch
from torchvision.models.resnet import BasicBlock, Bottleneck

from cases import write_or_check
from safetensors_io import encode

CASES = [  # name, block, stem, widths, depths, strides, factor of all weights
    ("basic", BasicBlock, 4, (6, 8), (2, 1), (1, 2), 1.0),
    ("bottleneck", Bottleneck, 4, (4, 6), (1, 1), (1, 2), 1.0),
    ("beyond_float32", BasicBlock, 4, (4, 6), (1, 1), (1, 2), 2.0**40),
]
IMAGES, SIDE = 6, 16


class Network(torch.nn.Module):
    """torchvision's blocks at any width, behind a 3x3 stem."""

    def __init__(self, block, stem, widths, depths, strides):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, stem, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(stem)
        self.relu = torch.nn.ReLU()
        channels = stem
        for stage, (width, depth, stride) in enumerate(zip(widths, depths, strides)):
            blocks = []
            for index in range(depth):
                step = stride if index == 0 else 1
                outgoing = width * block.expansion
                downsample = None
                if step != 1 or channels != outgoing:
                    downsample = torch.nn.Sequential(torch.nn.Conv2d(channels, outgoing, 1, stride=step, bias=False),
                                                     torch.nn.BatchNorm2d(outgoing))
                blocks.append(block(channels, width, step, downsample))
                channels = outgoing
            setattr(self, f"layer{stage + 1}", torch.nn.Sequential(*blocks))
        self.stages = len(widths)

    def forward(self, images):
        value = self.relu(self.bn1(self.conv1(images)))
        for stage in range(self.stages):
            value = getattr(self, f"layer{stage + 1}")(value)
        return value.mean((2, 3))


def naswot(network, images):
    """log |det K|; a hook on every ReLU adds the agreement of its codes."""
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)

    def add(_, inputs, __):
        # The input may have been overwritten by a ReLU in place; the sign is the same.
        code = (inputs[0].flatten(1) > 0).double()
        kernel.add_(code @ code.T + (1 - code) @ (1 - code).T)

    hooks = [one.register_forward_hook(add) for one in network.modules() if isinstance(one, torch.nn.ReLU)]
    network.train()
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    sign, value = numpy.linalg.slogdet(kernel.numpy())
    assert sign == 1
    return float(value)


def synflow(network):
    """log of the sum of |weight gradient| over convolutions, without batchnorm, weights positive, one image of ones."""
    for one in list(network.modules()):
        for child, module in list(one.named_children()):
            if isinstance(module, torch.nn.BatchNorm2d):
                setattr(one, child, torch.nn.Identity())
    for parameter in network.parameters():
        parameter.data.abs_()
    network(torch.ones(1, 3, SIDE, SIDE, dtype=torch.float64)).sum().backward()
    return float(sum((one.weight * one.weight.grad).abs().sum()
                     for one in network.modules() if isinstance(one, torch.nn.Conv2d)).log())


def make():
    """The bytes of the file."""
    tensors, cases = {}, []
    for seed, (name, block, stem, widths, depths, strides, factor) in enumerate(CASES):
        random = numpy.random.default_rng(seed)
        network = Network(block, stem, widths, depths, strides).double()
        for path, one in network.named_modules():
            if isinstance(one, torch.nn.Conv2d):
                deviation = (2 / (one.out_channels * one.kernel_size[0]**2))**0.5
                values = (factor * deviation * random.normal(size=tuple(one.weight.shape))).astype("<f4")
                one.weight.data = torch.tensor(values, dtype=torch.float64)
                tensors[f"{name}.{path}.weight"] = values
        images = random.normal(size=(IMAGES, 3, SIDE, SIDE)).astype("<f4")
        tensors[f"{name}.images"] = images
        scores = {"naswot": naswot(network, torch.tensor(images, dtype=torch.float64)), "synflow": synflow(network)}
        cases.append({"name": name, "block": block.__name__.replace("Block", "").lower(), "stem": stem, "widths": widths,
                      "depths": depths, "strides": strides, **scores})
    return encode(tensors, {"cases": json.dumps(cases)})


if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "zero_cost.safetensors"), make())
