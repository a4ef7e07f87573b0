"""Makes segmentation.safetensors: narrow FCNs over torchvision's dilated ResNets, with torchvision's head and with one of
mmsegmentation's form, with losses and gradients of all parameters.

    python3 tests/golden/make_segmentation.py [--check]
"""
import os

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.fcn import FCN, FCNHead

from cases import Case, file_bytes, first_clear, write_or_check
from narrow_resnet import NarrowResNet
from segmentation_heads import JoinedHead

CLASSES, IGNORE, AUXILIARY = 3, 255, 0.5
STEM, WIDTHS, DEPTHS, STRIDES = 4, [3, 4, 5, 6], [1, 1, 2, 2], [1, 2, 2, 2]
IMAGES = (2, 3, 48, 40)


def build(case, dilated, head):
    backbone = IntermediateLayerGetter(NarrowResNet(STEM, WIDTHS, DEPTHS, STRIDES, dilated),
                                       {"layer4": "out", "layer3": "aux"})
    last = 4 * WIDTHS[3]
    main = JoinedHead(last, head["channels"], head["convolutions"], CLASSES) if head else FCNHead(last, CLASSES)
    model = FCN(backbone, main, FCNHead(4 * WIDTHS[2], CLASSES)).double()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            if value.dim() > 1:
                value.copy_(case.normal(*value.shape, deviation=(1.5 / value[0].numel()) ** 0.5))
            elif name.endswith("running_var"):
                value.copy_(case.uniform(*value.shape, low=0.5, high=2))
            elif name.endswith(("bias", "running_mean")):
                value.copy_(case.normal(*value.shape, deviation=0.3))
            else:
                value.copy_(case.uniform(*value.shape, low=0.4, high=1.2))
    return model


def fcn(name, stride, dilated, head=None):
    def attempt(number):
        case = Case(name, "fcn", number, backward=3e-4, classes=CLASSES, ignore=IGNORE, auxiliary=AUXILIARY, stem=STEM,
                    widths=WIDTHS, depths=DEPTHS, strides=STRIDES, outputStride=stride,
                    **({"head": head} if head else {}))
        model = build(case, dilated, head)
        images = case.take("images", case.normal(*IMAGES)).detach()
        labels = torch.from_numpy(case.random.randint(0, CLASSES + 1, (IMAGES[0], *IMAGES[2:])))
        labels[labels == CLASSES] = IGNORE
        case.keep(labels=labels)
        weights = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
        case.keep_named({f"weight.{key}": value for key, value in weights.items()})
        coarse, nearest = {}, [float("inf")]
        model.classifier.register_forward_hook(lambda *values: coarse.update(logits=values[2]))
        model.aux_classifier.register_forward_hook(lambda *values: coarse.update(auxiliary=values[2]))
        with torch.no_grad():
            full = model.eval()(images)["out"]
        case.keep(full=full, logits=coarse["logits"], auxiliary=coarse["auxiliary"])

        def before(_, inputs):
            # An inplace ReLU's input, before it is changed.
            nearest[0] = min(nearest[0], inputs[0].detach().abs().min().item())

        for module in model.modules():
            if isinstance(module, nn.ReLU):
                module.register_forward_pre_hook(before)
        found = model.train()(images)
        main = cross_entropy(found["out"], labels, ignore_index=IGNORE)
        side = cross_entropy(found["aux"], labels, ignore_index=IGNORE)
        (main + AUXILIARY * side).backward()
        case.keep(loss=main + AUXILIARY * side, main=main, side=side)
        case.keep_named({f"grad.{key}": value.grad for key, value in model.named_parameters()})
        case.keep_named({f"after.{key}": value for key, value in model.state_dict().items() if "running" in key})
        return case, nearest[0]

    return first_clear(attempt, 1e-4)


if __name__ == "__main__":
    made = [fcn("fcn_stride_8", 8, [False, True, True]), fcn("fcn_stride_16", 16, [False, False, True]),
            fcn("fcn_joined", 8, [False, True, True], {"channels": 5, "convolutions": 2, "joinInput": True})]
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "segmentation.safetensors"),
                   file_bytes(made, "Golden values of narrow FCNs; see README.md"))
