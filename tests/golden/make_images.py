"""Makes images.safetensors: photos as torchvision resizes and cuts them.

    python3 tests/golden/make_images.py [--check]

`evaluation_image` and `resized_crop` are torchvision's transforms of PIL images, 8 bits in and out; `augmentation` is as in
operations.safetensors, with crops that shrink strongly.
"""
import os

import numpy
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional as vision

from augmentation_cases import one, settings, smooth
from cases import Case, file_bytes, write_or_check


def picture(case, height, width):
    """A uint8 image [H,W,3] with structure and noise, as numpy."""
    noisy = smooth(case, 1, height, width)[0].to(torch.int32)
    grain = torch.from_numpy(case.random.randint(-60, 61, (3, height, width)))
    return (noisy + grain).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def evaluation(name, size, resize, crop):
    case = Case(f"evaluation_{name}", "evaluation_image", resize=resize, crop=crop)
    image = picture(case, *size)
    # Scion's only exception from torchvision's default: small images lose no edge.
    side = crop if min(size) <= crop else resize
    make = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(crop)])
    case.keep(image=image, output=numpy.asarray(make(Image.fromarray(image))))
    return case


def resized_crop(name, size, crop, output):
    case = Case(f"resized_crop_{name}", "resized_crop", crop=list(crop), size=list(output))
    image = picture(case, *size)
    case.keep(image=image, output=numpy.asarray(vision.resized_crop(Image.fromarray(image), *crop, list(output))))
    return case


def image_cases():
    return [
        evaluation("wide", (61, 97), 37, 32),
        evaluation("tall", (90, 41), 37, 32),
        evaluation("barely_larger", (33, 34), 37, 32),
        evaluation("even_rest", (40, 51), 18, 16),
        evaluation("strong", (81, 103), 9, 8),
        evaluation("small", (11, 17), 37, 32),
        evaluation("own_size", (16, 16), 18, 16),
        evaluation("other_resize", (45, 60), 20, 16),
        resized_crop("down", (61, 97), (3, 10, 50, 70), (16, 16)),
        resized_crop("strong", (81, 103), (1, 2, 79, 98), (5, 4)),
        resized_crop("up", (40, 40), (5, 20, 9, 11), (24, 24)),
        one("crop_strongly", (64, 85), (4, 5), [
            settings((0, 0, 64, 85)), settings((3, 5, 57, 71), flip=True), settings((30, 2, 5, 83))]),
    ]


if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "images.safetensors"),
                   file_bytes(image_cases(), "Golden values of resized photos; see README.md"))
