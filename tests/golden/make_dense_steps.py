"""Makes dense_steps.safetensors: two training steps of narrow FCNs, Faster and Mask R-CNNs of torchvision's, whole.

    python3 tests/golden/make_dense_steps.py [--check]

From images to weights: backbone, head, losses, their gradients, `torch.optim.SGD` with momentum and weight decay. The
samplers of anchors and regions take everything, and nothing is dropped: no chance.
"""
import copy
import os

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.segmentation.fcn import FCN, FCNHead
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from cases import REFERENCE, Case, file_bytes, first_clear, write_or_check
from make_detector import CLASSES, objects
from narrow_resnet import NarrowResNet

STEPS = 2
# Rates and decays such that neither gradients nor decay are lost in a weight's rounding.
FCN_SGD = {"learningRate": 0.5, "momentum": 0.9, "weightDecay": 0.002}
DETECTOR_SGD = {"learningRate": 0.1, "momentum": 0.9, "weightDecay": 0.01}
STEM, STRIDES = 4, [1, 2, 2, 2]
# What single precision may change of an update, so that no rounding has decided which way a ReLU, a suppression or a
# match goes.
STEADY = 3e-5


def pictures(case, images, height, width):
    """Images as bytes, of which (byte - 128) / 64 are taken."""
    drawn = torch.from_numpy(case.random.randint(0, 256, (images, 3, height, width)).astype("uint8"))
    case.keep(images=drawn)
    return (drawn.to(REFERENCE) - 128) / 64


def draw_weights(case, model, spread=lambda name: 1.4):
    """`spread` gives the deviation of a layer's outputs by the name of its weight."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            if value.dim() > 1:
                value.copy_(case.normal(*value.shape, deviation=spread(name) / value[0].numel() ** 0.5))
            elif name.endswith("running_var"):
                value.copy_(case.uniform(*value.shape, low=0.5, high=2))
            elif name.endswith(("bias", "running_mean")):
                value.copy_(case.normal(*value.shape, deviation=0.2))
            else:
                value.copy_(case.uniform(*value.shape, low=0.4, high=1.2))


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}


def train(model, losses_of, sgd):
    """What each step adds to weights and statistics, and its losses; the steps are the first dimension."""
    optimizer = torch.optim.SGD(model.parameters(), lr=sgd["learningRate"], momentum=sgd["momentum"],
                                weight_decay=sgd["weightDecay"])
    steps = []
    for _ in range(STEPS):
        before = state(model)
        losses = losses_of(model)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        steps.append({**{f"losses.{name}": value.detach() for name, value in losses.items()},
                      **{f"updates.{name}": value - before[name] for name, value in state(model).items()}})
    return {name: torch.stack([step[name] for step in steps]) for name in steps[0]}


def keep_steps(case, model, losses_of):
    """Keeps the steps in double precision, and says how near to a kink they are: less, the more single precision differs."""
    case.keep_named({f"weight.{name}": value for name, value in state(model).items()})
    sgd = case.parameters["sgd"]
    single = train(copy.deepcopy(model).float(), losses_of, sgd)
    exact = train(model, losses_of, sgd)
    case.keep_named(exact)
    worst = max(((one - other).norm() / max(other.norm(), 1e-30)).item()
                for name, value in exact.items() for one, other in zip(single[name], value))
    return case, 1 / worst


def fcn(name, stride, dilated):
    widths, depths, classes, ignore, auxiliary = [3, 4, 5, 6], [1, 1, 2, 2], 3, 255, 0.5

    def attempt(number):
        case = Case(name, "fcn_steps", number, classes=classes, ignore=ignore, auxiliary=auxiliary, stem=STEM,
                    widths=widths, depths=depths, strides=STRIDES, outputStride=stride, sgd=FCN_SGD)
        resnet = NarrowResNet(STEM, widths, depths, STRIDES, dilated)
        backbone = IntermediateLayerGetter(resnet, {"layer4": "out", "layer3": "aux"})
        model = FCN(backbone, FCNHead(4 * widths[3], classes), FCNHead(4 * widths[2], classes)).to(REFERENCE).train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        draw_weights(case, model)
        images = pictures(case, 2, 48, 40)
        labels = torch.from_numpy(case.random.randint(0, classes + 1, (2, 48, 40)))
        labels[labels == classes] = ignore
        case.keep(labels=labels.to(torch.uint8))

        def losses_of(model):
            found = model(images.to(next(model.parameters()).dtype))
            pixels, side = (cross_entropy(found[key], labels, ignore_index=ignore) for key in ("out", "aux"))
            return {"pixels": pixels, "auxiliary": side, "loss": pixels + auxiliary * side}

        return keep_steps(case, model, losses_of)

    return first_clear(attempt, 1 / STEADY)


SIZES, PADDED = [(64, 64), (64, 48)], (64, 64)
CHANNELS, HIDDEN, MASK = 6, 8, 5
ANCHORS, SCALE, PROPOSALS = [8, 16, 32, 64, 128], 32, 25
SPREAD = {"rpn.head.bbox_pred": 0.15, "rpn.head.cls_logits": 0.4, "cls_score": 0.7, "box_predictor.bbox_pred": 0.4}
TERMS = {"loss_objectness": "objectness", "loss_rpn_box_reg": "proposals", "loss_classifier": "classes",
         "loss_box_reg": "boxes", "loss_mask": "masks"}


def build_detector(masked, widths, frozen):
    names = ["0", "1", "2", "3"]
    resnet = NarrowResNet(STEM, widths, [1, 1, 1, 1], STRIDES,
                          norm_layer=FrozenBatchNorm2d if frozen else nn.BatchNorm2d)
    backbone = BackboneWithFPN(resnet, {f"layer{at + 1}": name for at, name in enumerate(names)},
                               [4 * width for width in widths], CHANNELS, LastLevelMaxPool())
    masks = dict(mask_roi_pool=MultiScaleRoIAlign(names, 14, 2, canonical_scale=SCALE),
                 mask_head=MaskRCNNHeads(CHANNELS, [MASK], 1), mask_predictor=MaskRCNNPredictor(MASK, MASK, CLASSES))
    model = (MaskRCNN if masked else FasterRCNN)(
        backbone, min_size=min(PADDED), max_size=max(PADDED), image_mean=[0.0] * 3, image_std=[1.0] * 3,
        rpn_pre_nms_top_n_train=PROPOSALS, rpn_post_nms_top_n_train=PROPOSALS,
        rpn_anchor_generator=AnchorGenerator(tuple((size,) for size in ANCHORS), ((0.5, 1.0, 2.0),) * 5),
        box_roi_pool=MultiScaleRoIAlign(names, 7, 2, canonical_scale=SCALE),
        box_head=TwoMLPHead(CHANNELS * 49, HIDDEN), box_predictor=FastRCNNPredictor(HIDDEN, CLASSES),
        **(masks if masked else {}))
    for sampler in (model.rpn.fg_bg_sampler, model.roi_heads.fg_bg_sampler):
        sampler.batch_size_per_image, sampler.positive_fraction = 10**6, 1.0
    return model.to(REFERENCE).train()


def detector(name, masked, frozen):
    widths = [2, 3, 3, 4]

    def attempt(number):
        case = Case(name, "detector_steps", number, classes=CLASSES, stem=STEM, widths=widths, depths=[1, 1, 1, 1],
                    strides=STRIDES, channels=CHANNELS, hidden=HIDDEN, masks=masked, maskChannels=MASK,
                    frozenBatchnorm=frozen, canonicalScale=SCALE, anchors=ANCHORS, proposals=PROPOSALS, sizes=SIZES,
                    padded=PADDED, sgd=DETECTOR_SGD)
        model = build_detector(masked, widths, frozen)
        draw_weights(case, model, lambda key: next((each for part, each in SPREAD.items() if part in key), 1.4))
        # What lies beyond an image is 0 in its batch.
        images = [image[:, :height, :width] for image, (height, width) in zip(pictures(case, 2, *PADDED), SIZES)]
        targets = [objects(case, size, count) for size, count in zip(SIZES, (3, 2))]
        for at, one in enumerate(targets):
            kept = {key: value for key, value in one.items() if masked or key != "masks"}
            case.keep_named({f"{key}{at}": value for key, value in kept.items()})

        def losses_of(model):
            dtype = next(model.parameters()).dtype
            given = [{**one, "boxes": one["boxes"].to(dtype)} for one in targets]
            found = model([image.to(dtype) for image in images], given)
            return {**{TERMS[key]: value for key, value in found.items()}, "loss": sum(found.values())}

        return keep_steps(case, model, losses_of)

    return first_clear(attempt, 1 / STEADY)


if __name__ == "__main__":
    made = [fcn("fcn_steps", 8, [False, True, True]),
            detector("faster_rcnn_steps", False, False), detector("faster_rcnn_frozen_steps", False, True),
            detector("mask_rcnn_steps", True, False), detector("mask_rcnn_frozen_steps", True, True)]
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "dense_steps.safetensors"),
                   file_bytes(made, "Golden training steps of narrow networks for dense tasks; see README.md"))
