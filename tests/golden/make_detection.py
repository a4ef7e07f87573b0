"""Makes detection.safetensors: what detectors compute on the host, by torchvision in float32.

    python3 tests/golden/make_detection.py [--check]

Inputs are float32 numbers, and so is all arithmetic: thresholds and ties must fall out alike.
"""
import os
from collections import OrderedDict

import numpy
import torch
import torch.nn.functional as F
from torchvision.models.detection import _utils, image_list, roi_heads, rpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import boxes as box_ops

from cases import Case, file_bytes, write_or_check

RATIOS = (0.5, 1.0, 2.0)


def boxes_of(case, count, size, least=2.0, most=0.6):
    """Random corners within an image of a square side."""
    corner = case.uniform(count, 2, high=0.9 * size)
    side = case.uniform(count, 2, low=least, high=most * size)
    return torch.cat([corner, (corner + side).clamp(max=size)], 1).float()


def anchors(name, sizes, padded, maps, rounded=True):
    case = Case(f"anchors_{name}", "anchors", sizes=[list(each) for each in sizes], ratios=list(RATIOS),
                rounded=rounded, padded=padded, maps=maps)
    generator = AnchorGenerator(sizes, (RATIOS,) * len(sizes))
    if not rounded:
        # Detectron2's way to the same area: width sqrt(area / ratio), height ratio times as much.
        cells = [[(ratio * (size**2 / ratio) ** 0.5, (size**2 / ratio) ** 0.5) for ratio in RATIOS for size in each]
                 for each in sizes]
        generator.cell_anchors = [torch.tensor([[-w / 2, -h / 2, w / 2, h / 2] for h, w in each]) for each in cells]
    images = image_list.ImageList(torch.zeros(1, 3, *padded), [tuple(padded)])
    case.keep(anchors=generator(images, [torch.zeros(1, 1, *each) for each in maps])[0])
    return case


def coder(name, weights, classes):
    case = Case(f"coder_{name}", "box_coder", weights=list(weights))
    coded = _utils.BoxCoder(weights)
    boxes, targets = boxes_of(case, 12, 100), boxes_of(case, 12, 100)
    codes = (case.normal(12, 4 * classes) * torch.tensor(weights).repeat(classes)).float()
    codes[3] *= 20
    case.keep(boxes=boxes, targets=targets, encoded=coded.encode_single(targets, boxes), codes=codes,
              decoded=coded.decode_single(codes, boxes), iou=box_ops.box_iou(targets, boxes),
              clipped=box_ops.clip_boxes_to_image(coded.decode_single(codes, boxes).reshape(-1, 4), (60, 80)))
    return case


def matcher(name, high, low, low_quality, far=False):
    case = Case(f"matcher_{name}", "matcher", positive=high, negative=low, lowQuality=low_quality)
    objects, boxes = boxes_of(case, 6, 60, least=8), boxes_of(case, 80, 60, least=8)
    boxes[10:20] = objects[2] + case.uniform(10, 4, low=-3, high=3).float()
    boxes[20:23], boxes[23] = objects[4] + 4, objects[1]
    objects[5] = objects[4] + 1
    if far:
        objects[3] = torch.tensor([200.0, 200.0, 210.0, 220.0])
    matches = _utils.Matcher(high, low, low_quality)(box_ops.box_iou(objects, boxes))
    case.keep(objects=objects, boxes=boxes, matches=matches)
    return case


def suppression(name, threshold, count, groups):
    case = Case(f"nms_{name}", "nms", threshold=threshold)
    boxes = boxes_of(case, count, 50, least=10)
    scores = (case.uniform(count) * 40).round().float() / 40
    group = torch.from_numpy(case.random.randint(0, groups, count))
    keep = torch.cat([torch.where(group == each)[0][box_ops.nms(boxes[group == each], scores[group == each], threshold)]
                      for each in range(groups)]).sort()[0]
    keep = keep[scores[keep].sort(descending=True, stable=True)[1]]
    case.keep(boxes=boxes, scores=scores, groups=group, kept=box_ops.nms(boxes, scores, threshold), keptGroups=keep)
    return case


def network(before, after, everything=10**6):
    return rpn.RegionProposalNetwork(AnchorGenerator(((16,), (32,)), (RATIOS,) * 2), None, 0.7, 0.3, everything, 1.0,
                                     {"training": before, "testing": before}, {"training": after, "testing": after}, 0.7)


def proposals(name, before, after):
    maps, padded, image = [(12, 16), (6, 8)], (96, 128), (90, 121)
    case = Case(f"proposals_{name}", "proposals", beforeNms=before, afterNms=after, maps=maps, padded=padded,
                image=image, sizes=[[16], [32]], ratios=list(RATIOS))
    region = network(before, after).eval()
    objectness = [case.normal(1, 3, *each, deviation=2).float() for each in maps]
    deltas = [case.normal(1, 12, *each, deviation=0.4).float() for each in maps]
    images = image_list.ImageList(torch.zeros(1, 3, *padded), [image])
    region.head = lambda _: ([each.clone() for each in objectness], [each.clone() for each in deltas])
    found, _ = region(images, OrderedDict((str(at), torch.zeros(1, 1, *each)) for at, each in enumerate(maps)))
    case.keep(boxes=found[0])
    for level, (logits, codes) in enumerate(zip(objectness, deltas)):
        case.keep_named({f"objectness{level}": logits[0], f"deltas{level}": codes[0]})
    return case


def anchor_targets():
    case = Case("anchor_targets", "anchor_targets", sizes=[[16], [32]], ratios=list(RATIOS),
                maps=[(12, 16), (6, 8)], padded=(96, 128))
    region = network(100, 100)
    found = AnchorGenerator(((16,), (32,)), (RATIOS,) * 2)(
        image_list.ImageList(torch.zeros(1, 3, 96, 128), [(96, 128)]), [torch.zeros(1, 1, 12, 16), torch.zeros(1, 1, 6, 8)])
    objects = torch.cat([boxes_of(case, 4, 96, least=10), found[0][[40, 300]].clamp(min=0)])
    labels, matched = region.assign_targets_to_anchors(found, [{"boxes": objects}])
    codes = region.box_coder.encode(matched, found)[0]
    positives = torch.where(labels[0] > 0)[0]
    case.keep(objects=objects, positives=positives, negatives=torch.where(labels[0] == 0)[0], codes=codes[positives])
    return case


def heads(everything=10**6, score=0.05):
    return roi_heads.RoIHeads(None, None, None, 0.5, 0.5, everything, 1.0, None, score, 0.5, 20)


def region_targets():
    case = Case("region_targets", "region_targets")
    objects, labels = boxes_of(case, 5, 80, least=10), torch.tensor([3, 1, 1, 2, 4])
    found = boxes_of(case, 40, 80, least=10)
    found[:20] = objects.repeat(4, 1) + case.uniform(20, 4, low=-6, high=6).float()
    boxes, matched, classes, codes = heads().select_training_samples(
        [found], [{"boxes": objects, "labels": labels}])
    case.keep(proposals=found, objects=objects, classes=labels, boxes=boxes[0], matched=matched[0], labels=classes[0],
              codes=codes[0] * (classes[0] > 0)[:, None])
    return case


def mask_targets():
    case = Case("mask_targets", "mask_targets")
    size = (50, 70)
    objects = boxes_of(case, 3, 50, least=20)
    masks = torch.zeros(3, *size, dtype=torch.uint8)
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    for mask, (x1, y1, x2, y2) in zip(masks, objects.tolist()):
        mask[((x - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1)) ** 2 <= 0.25] = 1
    matched = torch.tensor([0, 1, 2, 2, 1, 0, 0])
    boxes = objects[matched] + case.uniform(7, 4, low=-4, high=4).float()
    boxes[5] = torch.tensor([2.0, 3.0, 69.5, 49.0])
    boxes[6] = torch.tensor([10.0, 12.0, 14.0, 15.0])
    targets = roi_heads.project_masks_on_boxes(masks, boxes, matched, 28)
    case.keep(masks=masks, boxes=boxes, matched=matched, targets=targets)
    return case


def detections(name, score):
    case = Case(f"detections_{name}", "detections", scoreThreshold=score, image=(60, 80))
    found = boxes_of(case, 30, 60, least=10)
    logits = case.normal(30, 5, deviation=1.5).float()
    codes = case.normal(30, 20, deviation=1.5).float()
    codes[4, 10] = -80
    boxes, scores, labels = heads(score=score).postprocess_detections(logits, codes, [found], [(60, 80)])
    case.keep(proposals=found, logits=logits, codes=codes, boxes=boxes[0], scores=scores[0], labels=labels[0])
    return case


def paste():
    case = Case("paste", "paste", image=(40, 50))
    masks = case.uniform(6, 28, 28).float()
    boxes = torch.cat([boxes_of(case, 3, 40, least=6),
                       torch.tensor([[0.0, 0.0, 50.0, 40.0], [44.5, 33.2, 50.0, 40.0], [7.2, 8.1, 7.9, 8.3]])])
    pasted = roi_heads.paste_masks_in_image(masks[:, None], boxes, (40, 50))[:, 0]
    # Detectron2's way: each pixel's centre, seen from the box.
    y, x = torch.arange(40) + 0.5, torch.arange(50) + 0.5
    grid_y = (y[None] - boxes[:, 1:2]) / (boxes[:, 3:4] - boxes[:, 1:2]) * 2 - 1
    grid_x = (x[None] - boxes[:, 0:1]) / (boxes[:, 2:3] - boxes[:, 0:1]) * 2 - 1
    grid = torch.stack([grid_x[:, None].expand(-1, 40, -1), grid_y[:, :, None].expand(-1, -1, 50)], 3)
    centres = F.grid_sample(masks[:, None].double(), grid.double(), align_corners=False)[:, 0]
    case.keep(masks=masks, boxes=boxes, expanded=pasted, centres=centres)
    return case


def detection_cases():
    default = tuple((size,) for size in (32, 64, 128, 256, 512))
    maps = [[8, 10], [4, 5], [2, 3], [1, 2], [1, 1]]
    return [
        anchors("default", default, [64, 96], maps),
        anchors("not_rounded", default, [64, 96], maps, rounded=False),
        anchors("two_sizes", ((4, 7), (33, 5)), [33, 47], [[3, 4], [2, 2]]),
        coder("rpn", (1.0, 1.0, 1.0, 1.0), 1),
        coder("classes", (10.0, 10.0, 5.0, 5.0), 3),
        matcher("rpn", 0.7, 0.3, True),
        matcher("regions", 0.5, 0.5, False),
        matcher("nothing_near", 0.6, 0.4, True, far=True),
        suppression("half", 0.5, 60, 3),
        suppression("strict", 0.2, 90, 2),
        proposals("few", 40, 25),
        proposals("all", 1000, 1000),
        anchor_targets(), region_targets(), mask_targets(),
        detections("default", 0.05), detections("high", 0.3), paste(),
    ]


if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "detection.safetensors"),
                   file_bytes(detection_cases(), "Golden values of detectors' boxes and masks; see README.md"))
