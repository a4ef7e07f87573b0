"""Makes products.safetensors: products of matrices, and layers with and without bias, from PyTorch.

    python3 tests/golden/make_products.py [--check]

Inputs are float32; references are computed in float64 and stored as float32.
"""
import os

import torch
import torch.nn.functional as F

from cases import Case, file_bytes, leaf, write_or_check


def matmul(name, batch, rows, inner, columns, transpose_a=False, transpose_b=False):
    case = Case(f"matmul_{name}", "matmul", transposeA=transpose_a, transposeB=transpose_b)
    a = leaf(case.normal(*batch, *((inner, rows) if transpose_a else (rows, inner))))
    b = leaf(case.normal(*batch, *((columns, inner) if transpose_b else (inner, columns))))
    left = a.transpose(-1, -2) if transpose_a else a
    right = b.transpose(-1, -2) if transpose_b else b
    output = left @ right
    gradient = case.normal(*output.shape)
    output.backward(gradient)
    case.keep(a=a, b=b, gradOutput=gradient, output=output, gradA=a.grad, gradB=b.grad)
    return case


def matmul_cases():
    sizes = {"one": ((), 1, 1, 1), "odd": ((), 5, 17, 3), "quads": ((), 8, 16, 12), "long": ((), 3, 130, 5),
             "batched": ((3,), 5, 7, 17), "nested": ((2, 2), 4, 8, 3), "tile": ((), 24, 32, 40)}
    return [matmul(f"{name}{'_a' if a else ''}{'_b' if b else ''}", *size, a, b)
            for name, size in sizes.items() for a in (False, True) for b in (False, True)]


def convolution(name, batch, size, inputs, outputs, kernel, stored, stride=1, padding=0, dilation=1):
    """A convolution with a bias; the leading channels of what is `stored`, (outFull, inFull), are active."""
    out_full, in_full = stored
    case = Case(f"convolution_bias_{name}", "convolution", outChannels=outputs, inChannels=inputs, stride=stride,
                padding=padding, dilation=dilation)
    x, bias = leaf(case.normal(batch, inputs, *size)), leaf(case.normal(out_full))
    weight = leaf(case.normal(out_full, in_full, *kernel, deviation=(inputs * kernel[0] * kernel[1]) ** -0.5))
    output = F.conv2d(x, weight[:outputs, :inputs], bias[:outputs], stride, padding, dilation)
    gradient = case.normal(*output.shape)
    weight_initial, bias_initial = case.normal(*weight.shape), case.normal(out_full)
    output.backward(gradient)
    case.keep(input=x, weight=weight, bias=bias, gradOutput=gradient, gradWeightInitial=weight_initial,
              gradBiasInitial=bias_initial, output=output, gradInput=x.grad,
              gradWeight=weight_initial + weight.grad, gradBias=bias_initial + bias.grad)
    return case


def convolution_cases():
    return [
        convolution("1x1_one_pixel", 1, (1, 1), 1, 1, (1, 1), (1, 1)),
        convolution("1x1_odd", 2, (7, 9), 5, 17, (1, 1), (17, 5)),
        convolution("1x1_tile", 2, (8, 8), 16, 32, (1, 1), (40, 16)),
        convolution("1x1_stride2", 2, (7, 9), 5, 3, (1, 1), (5, 8), stride=2),
        convolution("3x3_odd", 2, (7, 9), 3, 5, (3, 3), (8, 3), padding=1),
        convolution("3x3_tile", 1, (8, 8), 8, 16, (3, 3), (17, 8), padding=1),
        convolution("3x3_tile_stride2", 1, (16, 16), 3, 9, (3, 3), (9, 5), stride=2, padding=1),
        convolution("3x3_dilation2", 1, (9, 7), 3, 5, (3, 3), (5, 3), padding=2, dilation=2),
        convolution("7x7_stride2", 1, (16, 16), 3, 8, (7, 7), (8, 3), stride=2, padding=3),
    ]


def linear(name, batch, inputs, outputs, stored, with_bias):
    """`stored`: (outFull, inFull) of the weight, whose leading [outputs, inputs] are active."""
    out_full, in_full = stored
    case = Case(f"linear_{name}", "linear", inFeatures=inputs, outFeatures=outputs)
    x, weight = leaf(case.normal(batch, inputs)), leaf(case.normal(out_full, in_full, deviation=inputs ** -0.5))
    bias = leaf(case.normal(out_full)) if with_bias else None
    output = F.linear(x, weight[:outputs, :inputs], bias[:outputs] if with_bias else None)
    gradient = case.normal(*output.shape)
    weight_initial = case.normal(*weight.shape)
    output.backward(gradient)
    case.keep(input=x, weight=weight, gradOutput=gradient, gradWeightInitial=weight_initial, output=output,
              gradInput=x.grad, gradWeight=weight_initial + weight.grad)
    if with_bias:
        bias_initial = case.normal(out_full)
        case.keep(bias=bias, gradBiasInitial=bias_initial, gradBias=bias_initial + bias.grad)
    return case


def linear_cases():
    return [linear(f"{name}_{'with' if bias else 'without'}_bias", *sizes, bias)
            for name, sizes in {"odd": (5, 17, 3, (3, 17)), "sliced_outputs": (3, 17, 5, (8, 24)),
                                "sliced_outputs_tile": (16, 32, 17, (24, 48))}.items() for bias in (False, True)]


if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "products.safetensors"),
                   file_bytes([*matmul_cases(), *convolution_cases(), *linear_cases()],
                              "Golden values of products of matrices and of biases; see README.md"))
