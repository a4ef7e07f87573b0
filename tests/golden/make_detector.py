"""Makes detector.safetensors: a narrow Mask R-CNN of torchvision's, from its backbone's taps to masks, in float32.

    python3 tests/golden/make_detector.py [--check]

All that it decides - proposals, suppressions, detections - it decides in float32.
"""
import os
from collections import OrderedDict

import torch
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from cases import Case, file_bytes, write_or_check

TAPS, CHANNELS, CLASSES, HIDDEN, MASK = [4, 5, 6, 7], 8, 4, 12, [6, 5]
SPREAD = {"rpn.head.bbox_pred": 0.15, "rpn.head.cls_logits": 0.4, "cls_score": 0.7, "box_predictor.bbox_pred": 0.4}
SIZES, PADDED = [(64, 96), (64, 80)], (64, 96)


class Backbone(nn.Module):
    """The pyramid over taps that are given, whatever the image."""

    def __init__(self):
        super().__init__()
        self.fpn = FeaturePyramidNetwork(TAPS, CHANNELS, LastLevelMaxPool())
        self.out_channels = CHANNELS

    def forward(self, _):
        return self.fpn(OrderedDict((str(at), tap) for at, tap in enumerate(self.taps)))


def build(case):
    names = ["0", "1", "2", "3"]
    backbone = Backbone()
    backbone.taps = [case.normal(2, width, PADDED[0] // stride, PADDED[1] // stride).float()
                     for width, stride in zip(TAPS, (4, 8, 16, 32))]
    model = MaskRCNN(
        backbone, min_size=64, max_size=96, rpn_pre_nms_top_n_test=60, rpn_post_nms_top_n_test=25,
        rpn_pre_nms_top_n_train=60, rpn_post_nms_top_n_train=25,
        rpn_anchor_generator=AnchorGenerator(tuple((size,) for size in (8, 16, 32, 64, 128)), ((0.5, 1.0, 2.0),) * 5),
        box_roi_pool=MultiScaleRoIAlign(names, 7, 2, canonical_scale=32), box_head=TwoMLPHead(CHANNELS * 49, HIDDEN),
        box_predictor=FastRCNNPredictor(HIDDEN, CLASSES),
        mask_roi_pool=MultiScaleRoIAlign(names, 14, 2, canonical_scale=32), mask_head=MaskRCNNHeads(CHANNELS, MASK, 1),
        mask_predictor=MaskRCNNPredictor(MASK[-1], 9, CLASSES), box_detections_per_img=12).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            # Enough for logits to differ, not so much that one class takes all.
            spread = next((each for part, each in SPREAD.items() if part in name), 1.4)
            fan = value[0].numel() if value.dim() > 1 else 10
            value.copy_(case.normal(*value.shape, deviation=spread / fan**0.5).float())
    return model


def objects(case, size, count):
    """Boxes with elliptic masks, as targets of torchvision's."""
    corner = case.uniform(count, 2, high=0.6) * torch.tensor([size[1], size[0]])
    side = case.uniform(count, 2, low=0.15, high=0.4) * torch.tensor([size[1], size[0]])
    boxes = torch.cat([corner, corner + side], 1).float()
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    masks = [((x - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1)) ** 2 <= 0.25
             for x1, y1, x2, y2 in boxes.tolist()]
    return {"boxes": boxes, "labels": torch.from_numpy(case.random.randint(1, CLASSES, count)),
            "masks": torch.stack(masks).to(torch.uint8)}


def train(case, model):
    """Losses with all anchors and regions taken, so that no chance is in them, and gradients of their sum."""
    targets = [objects(case, size, count) for size, count in zip(SIZES, (3, 2))]
    for at, one in enumerate(targets):
        case.keep_named({f"object{name.capitalize()}{at}": value for name, value in one.items()})
    for sampler in (model.rpn.fg_bg_sampler, model.roi_heads.fg_bg_sampler):
        sampler.batch_size_per_image, sampler.positive_fraction = 10**6, 1.0
    for tap in model.backbone.taps:
        tap.requires_grad_(True)
    losses = model.train()([torch.zeros(3, *size) for size in SIZES], targets)
    sum(losses.values()).backward()
    case.keep_named(losses)
    case.keep_named({f"grad.{name}": value.grad for name, value in model.named_parameters()})
    for at, tap in enumerate(model.backbone.taps):
        case.keep_named({f"gradTap{at}": tap.grad})


def detector():
    case = Case("mask_rcnn", "detector", forward=1e-5, taps=TAPS, channels=CHANNELS, classes=CLASSES, hidden=HIDDEN,
                maskConvolutions=MASK, maskHidden=9, canonicalScale=32, anchors=[8, 16, 32, 64, 128], beforeNms=60,
                afterNms=25, most=12, sizes=SIZES, padded=PADDED)
    model = build(case)
    kept = {}

    def keep(name):
        def hook(_, inputs, output):
            kept[name] = output
        return hook

    model.backbone.register_forward_hook(keep("pyramid"))
    model.rpn.register_forward_hook(keep("proposals"))
    model.rpn.head.register_forward_hook(keep("rpn"))
    model.roi_heads.box_predictor.register_forward_hook(keep("boxes"))
    model.roi_heads.mask_predictor.register_forward_hook(keep("masks"))
    # Masks as the head says them, before they are pasted.
    model.transform.postprocess = lambda result, *_: result
    with torch.no_grad():
        result = model([torch.zeros(3, *size) for size in SIZES])
    case.keep_named({f"weight.{name}": value for name, value in model.state_dict().items()})
    for at, tap in enumerate(model.backbone.taps):
        case.keep_named({f"tap{at}": tap})
    for at, level in enumerate(kept["pyramid"].values()):
        case.keep_named({f"pyramid{at}": level, f"objectness{at}": kept["rpn"][0][at], f"deltas{at}": kept["rpn"][1][at]})
    for at, boxes in enumerate(kept["proposals"][0]):
        case.keep_named({f"proposals{at}": boxes})
    case.keep(logits=kept["boxes"][0], codes=kept["boxes"][1], maskLogits=kept["masks"])
    for at, one in enumerate(result):
        case.keep_named({f"{name}{at}": one[name] for name in ("boxes", "scores", "labels", "masks")})
    train(case, model)
    return case


if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "detector.safetensors"),
                   file_bytes([detector()], "Golden values of a narrow Mask R-CNN; see README.md"))
