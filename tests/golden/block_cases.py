"""Residual blocks in training mode, cut in place out of wider stored weights, under torchvision's parameter names."""
import torch
import torch.nn.functional as F

from cases import Case, first_clear, leaf
from normalisation_cases import batchnorm, wide

EXPANSION = {"basic": 1, "bottleneck": 4}


def layers(kind, inputs, width, stride, downsample):
    """Per convolution: its name, its batchnorm's name, outputs, inputs, kernel, stride, padding."""
    outputs = width * EXPANSION[kind]
    if kind == "basic":
        found = [("conv1", "bn1", width, inputs, 3, stride, 1), ("conv2", "bn2", width, width, 3, 1, 1)]
    else:
        found = [("conv1", "bn1", width, inputs, 1, 1, 0), ("conv2", "bn2", width, width, 3, stride, 1),
                 ("conv3", "bn3", outputs, width, 1, 1, 0)]
    if downsample:
        found.append(("downsample.0", "downsample.1", outputs, inputs, 1, stride, 0))
    return found


def build(name, kind, shape, width, stride, downsample, stored, attempt):
    """`stored`: (inputs, width) of the widest block; the case's inputs and width are its leading channels."""
    inputs = shape[1]
    case = Case(name, kind, attempt, inChannels=inputs, width=width, stride=stride, downsample=downsample,
                storedInChannels=stored[0], storedWidth=stored[1], epsilon=1e-5, momentum=0.1)
    active = layers(kind, inputs, width, stride, downsample)
    parameters, statistics, after = {}, {}, {}
    for convolution, norm, outputs, channels, kernel, _, _ in layers(kind, *stored, stride, downsample):
        deviation = (2 / (channels * kernel * kernel)) ** 0.5
        shape_of_weight = (outputs, channels, kernel, kernel)
        parameters[f"{convolution}.weight"] = leaf(case.normal(*shape_of_weight, deviation=deviation))
        parameters[f"{norm}.weight"] = leaf(case.uniform(outputs, low=0.5, high=1.5))
        parameters[f"{norm}.bias"] = leaf(case.normal(outputs, deviation=0.3))
        statistics[f"{norm}.running_mean"] = case.normal(outputs, deviation=0.2)
        statistics[f"{norm}.running_var"] = case.uniform(outputs, low=0.5, high=1.5)
    distances = []

    def convolve(x, layer):
        convolution, norm, outputs, channels, _, step, padding = layer
        x = F.conv2d(x, parameters[f"{convolution}.weight"][:outputs, :channels], None, step, padding)
        names = [f"{norm}.running_mean", f"{norm}.running_var"]
        x, *new = batchnorm(x, parameters[f"{norm}.weight"][:outputs], parameters[f"{norm}.bias"][:outputs],
                            *[statistics[each][:outputs] for each in names], groups=1)
        for each, value in zip(names, new):
            after[f"after.{each}"] = wide(statistics[each], value)
        return x

    def relu(x):
        distances.append(x.detach().abs().min().item())
        return F.relu(x)

    x = leaf(case.normal(*shape))
    branch = active[:-1] if downsample else active
    y = x
    for layer in branch[:-1]:
        y = relu(convolve(y, layer))
    output = relu(convolve(y, branch[-1]) + (convolve(x, active[-1]) if downsample else x))
    gradient = case.normal(*output.shape)
    output.backward(gradient)
    case.keep(input=x, gradOutput=gradient, output=output, gradInput=x.grad)
    case.keep_named({**parameters, **statistics, **after,
                     **{f"grad.{each}": value.grad for each, value in parameters.items()}})
    return case, min(distances)


def one(name, kind, shape, width, stride=1, downsample=False, stored=None):
    stored = stored or (shape[1], width)
    return first_clear(
        lambda attempt: build(f"{kind}_{name}", kind, shape, width, stride, downsample, stored, attempt), 1e-4)


def block_cases():
    return [
        one("plain", "basic", (2, 5, 7, 9), 5),
        one("sliced", "basic", (2, 5, 7, 5), 5, stored=(8, 8)),
        one("stride2", "basic", (2, 3, 9, 7), 5, 2, True),
        one("stride2_sliced", "basic", (2, 5, 7, 9), 7, 2, True, stored=(8, 10)),
        one("downsample_sliced_tile", "basic", (2, 8, 8, 8), 16, 1, True, stored=(8, 20)),
        one("plain", "bottleneck", (2, 12, 7, 5), 3),
        one("sliced", "bottleneck", (2, 12, 7, 5), 3, stored=(20, 5)),
        one("stride2", "bottleneck", (2, 5, 9, 7), 3, 2, True),
        one("stride2_sliced", "bottleneck", (2, 12, 7, 9), 5, 2, True, stored=(20, 8)),
        one("downsample_sliced_tile", "bottleneck", (2, 8, 8, 8), 4, 1, True, stored=(16, 6)),
    ]
