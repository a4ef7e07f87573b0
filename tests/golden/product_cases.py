"""Matrix products, convolutions with a bias, and linear layers that lack one or use part of their outputs."""
import torch
import torch.nn.functional as F

from cases import Case


def matmul(name, leading, rows, inner, columns, transpose="", **special):
    """`transpose`: which operands are stored with rows and columns exchanged: "", "a", "b" or "ab"."""
    case = Case(f"matmul_{name}", "matmul", special=special, transposeA="a" in transpose, transposeB="b" in transpose)
    a = case.take("a", case.normal(*leading, *((inner, rows) if "a" in transpose else (rows, inner)),
                                   deviation=inner ** -0.5))
    b = case.take("b", case.normal(*leading, *((columns, inner) if "b" in transpose else (inner, columns))))
    output = torch.matmul(a.transpose(-1, -2) if "a" in transpose else a, b.transpose(-1, -2) if "b" in transpose else b)
    output.backward(case.take("gradOutput", case.normal(*output.shape)))
    case.keep(output=output, gradA=a.grad, gradB=b.grad)
    return case


def finish(case, parameters, output):
    """The backward pass, and what it leaves: the gradients of `input` and of the parameters, added to initial ones."""
    initial = {name: case.take(f"grad{name.capitalize()}Initial", case.normal(*value.shape))
               for name, value in parameters.items() if name != "input"}
    output.backward(case.take("gradOutput", case.normal(*output.shape)))
    case.keep(output=output, gradInput=parameters["input"].grad)
    case.keep_named({f"grad{name.capitalize()}": value + parameters[name].grad for name, value in initial.items()})
    return case


def convolution(name, batch, size, inputs, outputs, kernel, stride=1, padding=0, dilation=1, stored=None, biased=True,
                **special):
    """`stored`: (outFull, inFull) of the stored weight, and outFull of the bias; the leading [outputs, inputs] are
    active. `padding`: a number, or [rows, columns]. `special`: see cases.Case; so in the others."""
    out_full, in_full = stored or (outputs, inputs)
    case = Case(f"convolution_{name}", "convolution", special=special, outChannels=outputs, inChannels=inputs,
                stride=stride, padding=padding, dilation=dilation)
    deviation = (inputs * kernel[0] * kernel[1]) ** -0.5
    parameters = {"input": case.take("input", case.normal(batch, inputs, *size)),
                  "weight": case.take("weight", case.normal(out_full, in_full, *kernel, deviation=deviation))}
    if biased:
        parameters["bias"] = case.take("bias", case.normal(out_full))
    output = F.conv2d(parameters["input"], parameters["weight"][:outputs, :inputs],
                      parameters["bias"][:outputs] if biased else None, stride, padding, dilation)
    return finish(case, parameters, output)


def linear(name, batch, inputs, outputs, stored=None, biased=True, **special):
    """`stored`: (outFull, inFull) of the stored weight, and outFull of the bias."""
    out_full, in_full = stored or (outputs, inputs)
    sliced = {"outFeatures": outputs} if outputs != out_full else {}
    case = Case(f"linear_{name}", "linear", special=special, inFeatures=inputs, **sliced)
    parameters = {"input": case.take("input", case.normal(batch, inputs)),
                  "weight": case.take("weight", case.normal(out_full, in_full, deviation=inputs ** -0.5))}
    if biased:
        parameters["bias"] = case.take("bias", case.normal(out_full))
    output = F.linear(parameters["input"], parameters["weight"][:outputs, :inputs],
                      parameters["bias"][:outputs] if biased else None)
    return finish(case, parameters, output)


def product_cases():
    """Every case, in the order of the file."""
    return [
        matmul("one", (), 1, 1, 1),
        matmul("odd", (), 3, 5, 17),
        matmul("odd_a", (), 17, 3, 5, "a"),
        matmul("odd_b", (), 5, 17, 3, "b"),
        matmul("odd_ab", (), 3, 17, 5, "ab"),
        matmul("inner_one", (), 17, 1, 5),
        matmul("row", (), 1, 17, 5, "b"),
        matmul("column", (), 17, 5, 1, "a"),
        matmul("dot", (), 1, 131, 1, "b"),
        matmul("tile", (), 8, 32, 16),
        matmul("tile_a", (), 16, 16, 16, "a"),
        matmul("tile_ab", (), 16, 16, 16, "ab"),
        matmul("large_b", (), 64, 96, 40, "b"),
        matmul("batch", (3,), 5, 3, 17),
        matmul("batch_a", (3,), 3, 17, 5, "a"),
        matmul("batch_b", (2, 3), 5, 17, 3, "b"),
        matmul("batch_ab", (1, 2), 17, 5, 3, "ab"),
        matmul("batch_tile", (2,), 8, 16, 8),
        convolution("bias_one_pixel", 1, (1, 1), 1, 1, (1, 1)),
        convolution("bias_1x1", 2, (7, 5), 3, 5, (1, 1)),
        convolution("bias_1x1_sliced_stride2", 2, (7, 5), 5, 17, (1, 1), stride=2, stored=(20, 7)),
        convolution("bias_1x1_tile", 1, (4, 8), 16, 16, (1, 1), stored=(17, 16)),
        convolution("bias_3x3", 1, (7, 9), 3, 5, (3, 3), padding=1),
        convolution("bias_3x3_sliced", 2, (5, 5), 5, 3, (3, 3), padding=1, stored=(8, 7)),
        convolution("bias_3x3_stride2_sliced", 1, (9, 5), 5, 9, (3, 3), stride=2, padding=1, stored=(12, 5)),
        convolution("bias_3x3_dilation2", 1, (7, 5), 3, 5, (3, 3), padding=2, dilation=2),
        convolution("bias_3x3_tile", 1, (4, 8), 8, 8, (3, 3), padding=1, stored=(9, 8)),
        convolution("bias_5x3_unequal_padding", 1, (7, 9), 3, 3, (5, 3), padding=[2, 0], stored=(5, 3)),
        convolution("bias_7x7_stride2", 1, (9, 9), 3, 3, (7, 7), stride=2, padding=3),
        linear("no_bias_one", 1, 1, 1, biased=False),
        linear("no_bias_odd", 5, 17, 3, biased=False),
        linear("no_bias_sliced_inputs", 3, 17, 5, (5, 24), biased=False),
        linear("no_bias_sliced", 3, 5, 17, (20, 8), biased=False),
        linear("no_bias_tile", 8, 32, 16, biased=False),
        linear("sliced_outputs", 5, 17, 3, (5, 17)),
        linear("sliced_both", 17, 3, 5, (8, 5)),
        linear("sliced_one_output", 3, 5, 1, (17, 5)),
        linear("sliced_both_tile", 8, 32, 16, (18, 34)),
    ]
