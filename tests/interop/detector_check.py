"""Loads a detector's weights into torchvision's `maskrcnn_resnet50_fpn`, strictly, and writes what it detects.

    python3 tests/interop/detector_check.py --model detector.safetensors --images images.safetensors --out found.safetensors

`--images` holds `image0`, `image1`, … f32 [3,H,W] from 0 to 1, which are not resized. The output holds for each `boxes0`,
`scores0`, `labels0` and `masks0`, the masks at the image's size.
"""
import argparse
import os
import sys

import numpy
import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import safetensors_io  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    for name in ("model", "images", "out"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    weights, _ = safetensors_io.read(given.model)
    tensors, _ = safetensors_io.read(given.images)
    images = [torch.from_numpy(numpy.array(tensors[f"image{at}"])) for at in range(len(tensors))]
    classes = weights["roi_heads.box_predictor.cls_score.bias"].shape[0]
    sides = [side for image in images for side in image.shape[1:]]
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=classes, min_size=min(sides),
                                  max_size=max(sides))
    model.load_state_dict({name: torch.from_numpy(numpy.array(value)) for name, value in weights.items()}, strict=True)
    with torch.no_grad():
        found = model.eval()(images)
    safetensors_io.write(given.out, {f"{name}{at}": value.numpy() for at, one in enumerate(found)
                                     for name, value in one.items()})


if __name__ == "__main__":
    main()
