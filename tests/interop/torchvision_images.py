"""Makes network inputs of a folder of photos as torchvision's default evaluation does, to compare Scion's with.

    python3 tests/interop/torchvision_images.py --data FOLDER --resize 256 --crop 224 --mean 0.485 0.456 0.406 \
        --std 0.229 0.224 0.225 --out images.safetensors

Files in codepoint order of their paths; PIL decodes, `Resize(resize)` (bilinear), `CenterCrop(crop)`, `ToTensor`, `Normalize`.
An image whose shorter side is at most `crop` is resized to `crop` instead: Scion's only exception.
"""
import argparse
import os
import sys

import numpy
from PIL import Image, ImageOps
from torchvision import transforms

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import safetensors_io  # noqa: E402

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--resize", type=int, required=True)
    parser.add_argument("--crop", type=int, required=True)
    parser.add_argument("--mean", type=float, nargs=3, required=True)
    parser.add_argument("--std", type=float, nargs=3, required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    paths = sorted(
        os.path.relpath(os.path.join(folder, name), args.data)
        for folder, _, names in os.walk(args.data) for name in names if name.lower().endswith(ENDINGS))
    images = []
    for path in paths:
        image = ImageOps.exif_transpose(Image.open(os.path.join(args.data, path))).convert("RGB")
        resize = args.crop if min(image.size) <= args.crop else args.resize
        make = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(args.crop), transforms.ToTensor(),
                                   transforms.Normalize(args.mean, args.std)])
        images.append(make(image).numpy())
    safetensors_io.write(args.out, {"images": numpy.stack(images)})


if __name__ == "__main__":
    main()
