"""Writes tests/golden/pth: files of torch.save that `pretrain --init` reads, what it reads from them, and files that it refuses.

    python3 tests/golden/make_pth.py

Nothing here is harmful: what the refused files would call is harmless, and they are never loaded.
"""
import argparse
import collections
import os

import numpy
import torch
from torchvision.models import resnet

import safetensors_io

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pth")


class Call:
    """Pickles as a call of a function, as malicious files do."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def path(name):
    return os.path.join(FOLDER, name)


def network(block, stem, widths, depths):
    """A small torchvision ResNet with a 7x7 stem, whose batchnorms have random parameters and statistics."""
    result = resnet.ResNet(block, [1, 1, 1, 1], num_classes=5)
    result.conv1, result.bn1 = torch.nn.Conv2d(3, stem, 7, 2, 3, bias=False), torch.nn.BatchNorm2d(stem)
    result.inplanes = stem
    for stage, (width, depth) in enumerate(zip(widths, depths)):
        setattr(result, f"layer{stage + 1}", result._make_layer(block, width, depth, stride=1 if stage == 0 else 2))
    result.fc = torch.nn.Linear(widths[-1] * block.expansion, 5)
    for layer in result.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.3, 0.9)
            torch.nn.init.uniform_(layer.bias, -0.3, 0.3)
            torch.nn.init.uniform_(layer.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)
    return result


def features(model, images):
    """Pooled features in float64."""
    model = model.double().eval()
    model.fc = torch.nn.Identity()
    with torch.no_grad():
        return model(images.double()).numpy().astype(numpy.float32)


def networks():
    """Two networks, one as torchvision's are saved, one as MoCo saves its own, and their features."""
    images = torch.randn(2, 3, 32, 32)
    basic = network(resnet.BasicBlock, 4, [4, 8, 8, 12], [1, 2, 1, 2])
    torch.save(basic.state_dict(), path("basic.pth"))
    bottleneck = network(resnet.Bottleneck, 4, [2, 4, 4, 4], [2, 1, 1, 1])
    weights = {f"module.encoder_q.{name}": value for name, value in bottleneck.state_dict().items()}
    optimizer = torch.optim.SGD(bottleneck.parameters(), 0.1, momentum=0.9)
    torch.save({"epoch": 7, "arch": "small", "best": 0.25, "state_dict": weights, "optimizer": optimizer.state_dict()},
               path("wrapped.pth"))
    safetensors_io.write(path("features.safetensors"), {
        "images": images.numpy(), "basic": features(basic, images), "wrapped": features(bottleneck, images)})


def kinds():
    """A tensor of each kind, and the same as float32."""
    base = torch.arange(24.0).reshape(2, 3, 4) / 7
    tensors = collections.OrderedDict(
        float=base, double=base.double() / 3, half=base.half(), bfloat16=base.bfloat16(), transposed=base.permute(2, 0, 1),
        slice=base[1:, 1:, ::2], channels_last=torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        scalar=torch.tensor(1.5), empty=torch.zeros(0, 3), parameter=torch.nn.Parameter(base[0].clone()),
        extremes=torch.tensor([65504.0, 6e-8, -0.0, float("inf"), float("nan")]).half())
    integers = {name: torch.tensor([1, 2], dtype=getattr(torch, name)) for name in ("int64", "int32", "int16", "int8", "uint8", "bool")}
    for protocol in (2, 3, 4, 5):
        torch.save({**tensors, **integers}, path(f"kinds{protocol}.pth"), pickle_protocol=protocol)
    safetensors_io.write(path("kinds.safetensors"), {
        name: value.detach().float().contiguous().numpy() for name, value in tensors.items()})


def refused():
    """Files that hold code or other objects, or are of other formats."""
    weights = {"conv1.weight": torch.zeros(1, 3, 3, 3)}
    torch.save({**weights, "hook": Call(os.system, "echo executed")}, path("system.pth"))
    torch.save({**weights, "nested": [({"deep": (Call(eval, "print('executed')"),)},)]}, path("nested.pth"))
    torch.save(Call(os.system, "echo executed"), path("alone.pth"))
    torch.save({**weights, "hook": Call(eval, "1")}, path("protocol4.pth"), pickle_protocol=4)
    torch.save(torch.nn.Linear(2, 2), path("module.pth"))
    torch.save({**weights, "args": argparse.Namespace(lr=0.1)}, path("namespace.pth"))
    torch.save({**weights, "best": numpy.float64(0.5)}, path("numpy.pth"))
    torch.save({"epoch": 3}, path("no_tensors.pth"))
    torch.save(weights, path("legacy.pth"), _use_new_zipfile_serialization=False)
    torch.jit.script(torch.nn.Linear(2, 2)).save(path("script.pt"))


if __name__ == "__main__":
    os.makedirs(FOLDER, exist_ok=True)
    torch.manual_seed(1)
    networks()
    kinds()
    refused()
