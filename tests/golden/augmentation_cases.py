"""Augmentation with explicit parameters, by torchvision's semantics: crop and resize, flip, colour jitter, grayscale,
Gaussian blur, normalisation, with every intermediate image."""
import math

import torch
import torch.nn.functional as F
from torchvision.transforms import functional as vision

import cases
from cases import Case

MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
ADJUST = {"brightness": vision.adjust_brightness, "contrast": vision.adjust_contrast,
          "saturation": vision.adjust_saturation, "hue": vision.adjust_hue}


def blur(image, sigma):
    """Depthwise Gaussian blur, separable; weights normalised over the radius ceil(3 sigma), edges reflected."""
    radius = math.ceil(3 * sigma)
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=cases.REFERENCE) / sigma) ** 2)
    weights = weights / weights.sum()
    padded = F.pad(image[:, None], (radius, radius, radius, radius), mode="reflect")
    return F.conv2d(F.conv2d(padded, weights[None, None, :, None]), weights[None, None, None, :])[:, 0]


def augment(pixels, settings, size):
    """Every stage of one image: `pixels` uint8 [3,H,W]; `settings` as in the case's parameters."""
    top, left, height, width = settings["crop"]
    image = pixels[:, top:top + height, left:left + width].to(cases.REFERENCE) / 255
    stages = {}
    image = stages["cropped"] = F.interpolate(image[None], size, mode="bilinear", align_corners=False,
                                              antialias=True)[0]
    image = stages["flipped"] = vision.hflip(image) if settings["flip"] else image
    for position, (name, factor) in enumerate(settings["jitter"], 1):
        image = stages[f"jittered{position}"] = ADJUST[name](image, factor)
    if settings["grayscale"]:
        image = vision.rgb_to_grayscale(image, num_output_channels=3)
    stages["grayscaled"] = image
    image = stages["blurred"] = blur(image, settings["sigma"]) if settings["sigma"] > 0 else image
    stages["output"] = (image - torch.tensor(MEAN, dtype=cases.REFERENCE)[:, None, None]) / torch.tensor(
        DEVIATION, dtype=cases.REFERENCE)[:, None, None]
    return stages


def settings(crop, flip=False, jitter=(), grayscale=False, sigma=0.0):
    """One image's parameters: crop [top, left, height, width] in pixels, jitter [[operation, factor]] in the order of
    application (hue: a shift in turns; the others: factors), sigma in pixels of the output, 0 for none."""
    return {"crop": list(crop), "flip": flip, "jitter": [list(each) for each in jitter], "grayscale": grayscale,
            "sigma": sigma}


def smooth(case, count, height, width):
    """Colourful uint8 images: some structure, some noise, and the extremes 0 and 255."""
    coarse = case.uniform(count, 3, 4, 5, low=-0.2, high=1.2)
    image = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    image = image + case.normal(count, 3, height, width, deviation=0.05)
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)


def one(name, size, output, images):
    case = Case(f"augmentation_{name}", "augmentation", forward=1e-4, mean=MEAN, deviation=DEVIATION,
                size=list(output), images=images)
    pixels = smooth(case, len(images), *size)
    case.keep(images=pixels)
    stages = [augment(each, chosen, output) for each, chosen in zip(pixels, images)]
    for stage in stages[0]:
        case.keep_named({stage: torch.stack([found[stage] for found in stages])})
    return case


def augmentation_cases():
    full = [("brightness", 1.3), ("contrast", 0.7), ("saturation", 1.4), ("hue", 0.1)]
    return [
        one("crop", (17, 23), (16, 16), [
            settings((0, 0, 17, 23)), settings((3, 5, 5, 7), flip=True), settings((16, 22, 1, 1))]),
        one("crop_down", (23, 17), (8, 8), [
            settings((0, 0, 23, 17)), settings((1, 2, 20, 15), flip=True), settings((4, 1, 9, 16))]),
        one("jitter", (17, 23), (16, 16), [
            settings((1, 2, 12, 14), jitter=full),
            settings((0, 8, 17, 15), True,
                     [("hue", -0.08), ("saturation", 0.6), ("contrast", 1.4), ("brightness", 0.6)]),
            settings((5, 0, 10, 11),
                     jitter=[("contrast", 1.2), ("hue", 0.03), ("brightness", 1.4), ("saturation", 0.9)]),
        ]),
        one("jitter_other_orders", (16, 16), (13, 11), [
            settings((0, 0, 16, 16),
                     jitter=[("saturation", 0.0), ("hue", 0.5), ("contrast", 1.0), ("brightness", 1.0)]),
            settings((2, 2, 9, 13), True,
                     [("hue", -0.5), ("brightness", 2.0), ("saturation", 3.0), ("contrast", 2.5)])]),
        one("grayscale", (17, 23), (16, 16), [
            settings((0, 3, 17, 17), grayscale=True), settings((2, 2, 14, 20), True, full, True)]),
        one("blur", (17, 23), (16, 16), [
            settings((0, 0, 17, 23), sigma=0.1), settings((3, 4, 11, 13), True, sigma=1.0),
            settings((1, 0, 16, 16), sigma=2.0)]),
        one("everything", (23, 17), (16, 16), [
            settings((2, 1, 19, 14), True, full, True, 0.7),
            settings((7, 3, 10, 9), False,
                     [("hue", 0.07), ("contrast", 0.8), ("brightness", 1.2), ("saturation", 1.1)],
                     False, 1.5)]),
    ]
