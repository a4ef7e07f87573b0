"""Makes roi_align.safetensors: RoIAlign on one map and on a pyramid.

    python3 tests/golden/make_roi_align.py [--check]

Inputs are float32; references are computed in float64 and stored as float32.
"""
import os
from collections import OrderedDict

import numpy
import torch
from torchvision.ops import MultiScaleRoIAlign, roi_align

from cases import Case, exact, file_bytes, leaf, write_or_check

# Corners in pixels of an image of 4 times a map of 13x11: inside, larger than the image, outside it on each side, without
# area, of one pixel, at the edges.
BOXES = [[3.3, 5.2, 30.1, 41.7], [-20, -15, 70, 80], [-60, 2, -20, 30], [50, 10, 90, 30], [5, -90, 20, -40],
         [3, 60, 20, 120], [17.3, 11.1, 17.3, 11.1], [8, 12, 9, 13], [0, 0, 44, 52], [39.9, 47.9, 44, 52],
         [-6, -5, 3, 4], [2.5, 30.2, 43.7, 31.1]]


def one(name, channels, bins, ratio, aligned, images=2, scale=0.25, special=None):
    case = Case(f"roi_align_{name}", "roi_align", special=special, bins=bins, samplingRatio=ratio, aligned=aligned,
                scale=scale)
    x = case.take("input", case.normal(images, channels, 13, 11))
    owner = torch.arange(len(BOXES)) % images
    boxes = exact(BOXES)
    output = roi_align(x, torch.cat([owner[:, None].to(boxes), boxes], 1), bins, scale, ratio, aligned)
    gradient = case.take("gradOutput", case.normal(*output.shape)).detach()
    output.backward(gradient)
    case.keep(boxes=boxes, images=owner, output=output, gradInput=x.grad)
    return case


def pyramid(name, channels, bins):
    size, strides = 128, [4, 8, 16, 32]
    case = Case(f"roi_align_{name}", "roi_align_pyramid", bins=bins, samplingRatio=2, aligned=False,
                scales=[1 / stride for stride in strides], canonicalScale=48)
    maps = OrderedDict((str(index), leaf(case.normal(2, channels, size // stride, size // stride)))
                       for index, stride in enumerate(strides))
    corners = case.uniform(14, 2, high=100).numpy()
    # From a few pixels to beyond the image; the last are at the levels' bounds, and without area.
    sides = [3, 5, 8, 11, 23.9, 24, 24.1, 30, 47.99, 48, 50, 96, 97, 120]
    boxes = numpy.concatenate([corners, corners + numpy.array(sides)[:, None]], 1)
    boxes = exact(numpy.concatenate([boxes, [[0, 0, 24, 24], [4, 8, 52, 56], [0, 0, 96, 96], [7, 7, 7, 7]]]))
    per_image = [boxes[:10], boxes[10:]]
    pool = MultiScaleRoIAlign(list(maps), bins, 2, canonical_scale=48)
    output = pool(maps, per_image, [(size, size)] * 2)
    gradient = case.normal(*output.shape)
    output.backward(gradient)
    levels = pool.map_levels([each.float() for each in per_image])
    case.keep(boxes=boxes, images=torch.tensor([0] * 10 + [1] * (len(boxes) - 10)), levels=levels,
              gradOutput=gradient, output=output)
    for index, each in maps.items():
        case.keep_named({f"input{index}": each, f"gradInput{index}": each.grad})
    return case


def roi_align_cases():
    return [
        one("fixed", 5, 7, 2, False),
        one("fixed_aligned", 3, 7, 2, True),
        one("adaptive", 17, 3, 0, False),
        one("adaptive_aligned", 5, 7, 0, True),
        one("one_channel_one_bin", 1, 1, 3, True, images=1),
        one("mask_head", 4, 14, 2, False, images=3),
        # Not where torchvision multiplies by 0: the first pixel, for samples outside the map, and the last ones, twice each.
        one("nonfinite", 3, 3, 2, False, special={
            "input": [((0, 0, 5, 4), numpy.nan), ((1, 1, 7, 5), numpy.inf), ((0, 2, 3, 3), -numpy.inf)],
            "gradOutput": [((0, 0, 1, 1), numpy.nan), ((1, 1, 0, 0), numpy.inf), ((8, 2, 1, 1), -numpy.inf)]}),
        pyramid("pyramid", 5, 3),
    ]


if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "roi_align.safetensors"),
                   file_bytes(roi_align_cases(), "Golden values of RoIAlign; see README.md"))
