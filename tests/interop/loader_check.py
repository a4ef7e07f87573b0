"""Runs a loader that `deno task extract --loader` wrote: to compare with Scion's own features.

    python3 tests/interop/loader_check.py --loader load_subnet.py --out outputs.safetensors \
        (--images images.safetensors | --features features.npz --root FOLDER)

With `--images` (`images` f32 [N,3,H,W]) writes its outputs c2, c3, … and features, and those of torchvision's equivalent, where
the loader names one, as `torchvision`. With `--features`, a file that `deno task embed` wrote, writes the features of the
images that it names, and as `embedded` its own. Checks that the loader prepares photos as torchvision's transforms do.
"""
import argparse
import importlib
import os
import sys

import numpy
import torch
from PIL import Image
from torchvision import transforms

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import safetensors_io  # noqa: E402


def check_preprocessing(loader):
    """Images larger than SIZE are prepared as by torchvision, from Pillow bit for bit, from tensors within two steps of
    1/255."""
    expected = transforms.Compose([
        transforms.Resize(loader.RESIZE), transforms.CenterCrop(loader.SIZE), transforms.ToTensor(),
        transforms.Normalize(loader.MEAN, loader.STD)])
    random = numpy.random.default_rng(1)
    for height, width in ((3 * loader.SIZE, 5 * loader.SIZE + 3), (2 * loader.SIZE + 7, loader.SIZE + 1)):
        pixels = random.integers(0, 256, (height, width, 3), dtype=numpy.uint8)
        image = Image.fromarray(pixels)
        wanted = expected(image)
        assert torch.allclose(loader.preprocess(image), wanted, atol=1e-6), (height, width)
        tensor = torch.from_numpy(pixels).permute(2, 0, 1)
        distance = (loader.preprocess(tensor) - wanted).abs() * torch.tensor(loader.STD).reshape(3, 1, 1)
        assert distance.max() <= 2.01 / 255, (height, width, distance.max())
    side = loader.SIZE
    exact = torch.from_numpy(random.integers(0, 256, (3, side, side), dtype=numpy.uint8))
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (loader.MEAN, loader.STD))
    assert torch.allclose(loader.preprocess(exact), (exact / 255 - mean) / std, atol=1e-6)


def main():
    parser = argparse.ArgumentParser(description="Outputs of an extracted model, by its loader.")
    for name in ("loader", "out"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("images", "features", "root"):
        parser.add_argument(f"--{name}")
    flags = parser.parse_args()
    sys.path.insert(0, os.path.dirname(os.path.abspath(flags.loader)))
    loader = importlib.import_module(os.path.basename(flags.loader)[:-len(".py")])
    check_preprocessing(loader)
    model = loader.load()
    outputs = {}
    with torch.no_grad():
        if flags.images:
            images = torch.from_numpy(numpy.array(safetensors_io.read(flags.images)[0]["images"]))
            outputs = dict(model(images))
            if hasattr(loader, "torchvision_model"):
                outputs["torchvision"] = loader.torchvision_model()(images)
        else:
            data = numpy.load(flags.features, allow_pickle=False)
            images = torch.stack([
                loader.preprocess(Image.open(os.path.join(flags.root, name))) for name in data["files"]])
            outputs = {"features": model(images)["features"], "embedded": torch.from_numpy(data["features"])}
    safetensors_io.write(flags.out, {name: value.numpy() for name, value in outputs.items()}, {})


if __name__ == "__main__":
    main()
