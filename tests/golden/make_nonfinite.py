"""Makes nonfinite.safetensors: what PyTorch makes of one NaN or infinity among ordinary numbers.

    python3 tests/golden/make_nonfinite.py [--check]

Inputs are float32; references are computed in float64 and stored as float32. Each operation takes the number in each of
its inputs, once NaN, once infinity, once minus infinity.
"""
import os

import torch
import torch.nn.functional as F

from cases import Case, exact, file_bytes, leaf, write_or_check
from normalisation_cases import EPSILON, MOMENTUM, batchnorm

SPECIAL = {"nan": float("nan"), "infinity": float("inf"), "minus_infinity": float("-inf")}


def spoilt(tensor, value):
    """The tensor with one number replaced, off the middle."""
    tensor = tensor.clone()
    tensor.view(-1)[tensor.numel() * 2 // 5] = value
    return tensor


def case_of(name, operation, place, **parameters):
    """A case and the function that makes an input of it: ordinary numbers, spoilt where the name is the place's."""
    case = Case(f"{name}_{place[0]}_{place[1]}", operation, **parameters)

    def make(tensor_name, *shape, **options):
        tensor = case.normal(*shape, **options)
        return spoilt(tensor, SPECIAL[place[1]]) if tensor_name == place[0] else tensor
    return case, make


def places(*names):
    return [(name, special) for name in names for special in SPECIAL]


def simple(name, operation, function, shape, inputs=("input",), gradients=("gradInput",), **parameters):
    cases = []
    for place in places(*inputs, "gradOutput"):
        case, make = case_of(name, operation, place, **parameters)
        tensors = {key: leaf(make(key, *shape)) for key in inputs}
        output = function(*tensors.values())
        gradient = make("gradOutput", *output.shape)
        output.backward(gradient)
        case.keep(**tensors, gradOutput=gradient, output=output,
                  **{key: tensor.grad for key, tensor in zip(gradients, tensors.values())})
        cases.append(case)
    return cases


def matmul_cases():
    cases = []
    for place in places("a", "b", "gradOutput"):
        case, make = case_of("matmul", "matmul", place, transposeA=False, transposeB=True)
        a, b = leaf(make("a", 5, 8)), leaf(make("b", 7, 8))
        output = a @ b.T
        gradient = make("gradOutput", *output.shape)
        output.backward(gradient)
        case.keep(a=a, b=b, gradOutput=gradient, output=output, gradA=a.grad, gradB=b.grad)
        cases.append(case)
    return cases


def linear_cases():
    cases = []
    for place in places("input", "weight", "bias", "gradOutput"):
        case, make = case_of("linear", "linear", place, inFeatures=8)
        x, weight, bias = leaf(make("input", 5, 8)), leaf(make("weight", 7, 8)), leaf(make("bias", 7))
        output = F.linear(x, weight, bias)
        gradient = make("gradOutput", *output.shape)
        weight_initial, bias_initial = case.normal(7, 8), case.normal(7)
        output.backward(gradient)
        case.keep(input=x, weight=weight, bias=bias, gradOutput=gradient, gradWeightInitial=weight_initial,
                  gradBiasInitial=bias_initial, output=output, gradInput=x.grad,
                  gradWeight=weight_initial + weight.grad, gradBias=bias_initial + bias.grad)
        cases.append(case)
    return cases


def convolution_cases():
    """Without padding, and with sound weights: PyTorch's way to compute, not the formula, decides what zeros of a padding,
    the input's or in the gradient that of the output's edges, are multiplied with."""
    cases = []
    for name, kernel, stride in (("1x1", 1, 1), ("3x3", 3, 1), ("3x3_stride2", 3, 2)):
        for place in places("input", "gradOutput"):
            case, make = case_of(f"convolution_{name}", "convolution", place, outChannels=5, inChannels=3, stride=stride,
                                 padding=0, dilation=1)
            x, weight = leaf(make("input", 2, 3, 9, 8)), leaf(make("weight", 5, 3, kernel, kernel))
            output = F.conv2d(x, weight, None, stride)
            gradient = make("gradOutput", *output.shape)
            initial = case.normal(*weight.shape)
            output.backward(gradient)
            case.keep(input=x, weight=weight, gradOutput=gradient, gradWeightInitial=initial, output=output,
                      gradInput=x.grad, gradWeight=initial + weight.grad)
            cases.append(case)
    return cases


def batchnorm_cases(operation):
    cases = []
    for groups, relu, residual in ((1, False, False), (2, True, True)):
        for place in places("input", *(["residual"] if residual else []), "gradOutput"):
            shape, channels = (4, 3, 4, 4), 3
            case, make = case_of(f"{operation}_groups{groups}", operation, place, epsilon=EPSILON, momentum=MOMENTUM,
                                 groups=groups, relu=relu, residual=residual)
            x = leaf(make("input", *shape))
            weight, bias = leaf(case.uniform(channels, low=0.5, high=1.5)), leaf(case.normal(channels))
            mean, variance = case.normal(channels), exact(case.uniform(channels, low=0.5, high=2))
            addend = leaf(make("residual", *shape)) if residual else None
            if operation == "batchnorm":
                output, mean_after, variance_after = batchnorm(x, weight, bias, mean, variance, groups)
            else:
                output = F.batch_norm(x, mean, variance, weight, bias, False, MOMENTUM, EPSILON)
            if residual:
                output = output + addend
            if relu:
                output = F.relu(output)
            gradient = make("gradOutput", *shape)
            weight_initial, bias_initial = case.normal(channels), case.normal(channels)
            output.backward(gradient)
            case.keep(input=x, weight=weight, bias=bias, runningMean=mean, runningVariance=variance,
                      gradOutput=gradient, gradWeightInitial=weight_initial, gradBiasInitial=bias_initial,
                      output=output, gradInput=x.grad, gradWeight=weight_initial + weight.grad,
                      gradBias=bias_initial + bias.grad)
            if residual:
                case.keep(residual=addend, gradResidual=addend.grad)
            if operation == "batchnorm":
                case.keep(runningMeanAfter=mean_after, runningVarianceAfter=variance_after)
            cases.append(case)
    return cases


def cross_entropy_cases():
    cases = []
    # The number at the label of its row, or not; logits that are all minus infinity but one have no spoilt loss.
    for name, label in (("label", 6), ("other", 1)):
        for place in places("logits"):
            case, make = case_of(f"cross_entropy_{name}", "cross_entropy", place)
            logits = leaf(make("logits", 5, 17))
            # Number 34 of 85 is in row 2, column 0.
            labels = torch.tensor([3, 5, 0 if name == "label" else label, 16, 2])
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            case.keep(logits=logits, labels=labels, loss=loss, gradLogits=logits.grad)
            cases.append(case)
    return cases


def info_nce_cases():
    cases = []
    for place in places("normalisedQuery", "keys", "queue"):
        case, make = case_of("info_nce", "info_nce", place, temperature=0.2)
        query = leaf(make("normalisedQuery", 5, 8, deviation=0.35))
        keys, queue = make("keys", 5, 8, deviation=0.35), make("queue", 9, 8, deviation=0.35)
        logits = torch.cat([(query * keys).sum(1, keepdim=True), query @ queue.T], 1) / 0.2
        loss = F.cross_entropy(logits, torch.zeros(5, dtype=torch.long))
        loss.backward()
        case.keep(normalisedQuery=query, keys=keys, queue=queue, loss=loss, logits=logits,
                  gradNormalisedQuery=query.grad)
        cases.append(case)
    return cases


def all_cases():
    """Every case, in the order of the file."""
    return [
        *simple("relu", "relu", F.relu, (2, 3, 5, 3)),
        *simple("add", "add", torch.add, (2, 3, 5, 3), ("inputA", "inputB"), ("gradInputA", "gradInputB")),
        *simple("max_pool", "max_pool", lambda x: F.max_pool2d(x, 3, 2, 1), (2, 3, 7, 9), kernel=3, stride=2, padding=1),
        *simple("global_average_pool", "global_average_pool", lambda x: x.mean((2, 3)), (2, 3, 5, 3)),
        *simple("l2_normalise", "l2_normalise", lambda x: F.normalize(x, dim=1, eps=1e-12), (5, 17), epsilon=1e-12),
        *matmul_cases(), *linear_cases(), *convolution_cases(), *batchnorm_cases("batchnorm"),
        *batchnorm_cases("batchnorm_evaluation"), *cross_entropy_cases(), *info_nce_cases(),
    ]


if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "nonfinite.safetensors"),
                   file_bytes(all_cases(), "What PyTorch makes of NaN and infinity; see README.md"))
