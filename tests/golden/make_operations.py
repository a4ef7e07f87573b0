"""Makes operations.safetensors: inputs, outputs and gradients of every operation, from PyTorch.

    python3 tests/golden/make_operations.py [--check]

Inputs are float32; references are computed in float64 and stored as float32.
"""
import os

import torch
import torch.nn.functional as F

from augmentation_cases import augmentation_cases
from block_cases import block_cases
from cases import Case, exact, file_bytes, first_clear, leaf, write_or_check
from normalisation_cases import batchnorm_cases


def convolution(name, batch, size, inputs, outputs, kernel, stride=1, padding=0, dilation=1, stored=None):
    """`stored`: (outFull, inFull) of the stored weight, whose leading [outputs, inputs] are active."""
    out_full, in_full = stored or (outputs, inputs)
    case = Case(f"convolution_{name}", "convolution", outChannels=outputs, inChannels=inputs, stride=stride,
                padding=padding, dilation=dilation)
    x = leaf(case.normal(batch, inputs, *size))
    weight = leaf(case.normal(out_full, in_full, *kernel, deviation=(inputs * kernel[0] * kernel[1]) ** -0.5))
    output = F.conv2d(x, weight[:outputs, :inputs], None, stride, padding, dilation)
    gradient = case.normal(*output.shape)
    initial = case.normal(*weight.shape)
    output.backward(gradient)
    case.keep(input=x, weight=weight, gradOutput=gradient, gradWeightInitial=initial, output=output,
              gradInput=x.grad, gradWeight=initial + weight.grad)
    return case


def convolution_cases():
    return [
        convolution("1x1_one_pixel", 1, (1, 1), 1, 1, (1, 1)),
        convolution("1x1_3to5", 2, (7, 9), 3, 5, (1, 1)),
        convolution("1x1_5to17", 1, (13, 5), 5, 17, (1, 1)),
        convolution("1x1_16to32_tile", 1, (8, 8), 16, 32, (1, 1)),
        convolution("1x1_17to5_stride2", 3, (7, 9), 17, 5, (1, 1), stride=2),
        convolution("1x1_16to32_stride2_tile", 2, (8, 8), 16, 32, (1, 1), stride=2),
        convolution("1x1_padded", 1, (5, 4), 3, 3, (1, 1), padding=1),
        convolution("1x1_sliced", 2, (7, 9), 5, 17, (1, 1), stored=(24, 8)),
        convolution("1x1_sliced_stride2", 3, (13, 5), 3, 16, (1, 1), stride=2, stored=(20, 17)),
        convolution("3x3_one_pixel", 1, (1, 1), 1, 1, (3, 3), padding=1),
        convolution("3x3_3to5", 2, (7, 9), 3, 5, (3, 3), padding=1),
        convolution("3x3_5to17", 1, (13, 5), 5, 17, (3, 3), padding=1),
        convolution("3x3_unpadded", 2, (7, 9), 5, 3, (3, 3)),
        convolution("3x3_unpadded_stride2_unused_edge", 1, (8, 8), 3, 5, (3, 3), stride=2),
        convolution("3x3_17to5_stride2", 3, (13, 5), 17, 5, (3, 3), stride=2, padding=1),
        convolution("3x3_5to3_stride2_even", 2, (8, 8), 5, 3, (3, 3), stride=2, padding=1),
        convolution("3x3_dilation2", 2, (7, 9), 5, 5, (3, 3), padding=2, dilation=2),
        convolution("3x3_dilation2_stride2", 1, (13, 5), 3, 17, (3, 3), stride=2, padding=3, dilation=2),
        convolution("3x3_16to32_tile", 1, (8, 8), 16, 32, (3, 3), padding=1),
        convolution("3x3_16to16_tile", 1, (16, 16), 16, 16, (3, 3), padding=1),
        convolution("3x3_16to32_stride2_tile", 1, (16, 16), 16, 32, (3, 3), stride=2, padding=1),
        convolution("3x3_many_positions", 4, (17, 16), 1, 3, (3, 3), padding=1),
        convolution("3x3_sliced", 2, (7, 9), 5, 3, (3, 3), padding=1, stored=(9, 7)),
        convolution("3x3_sliced_stride2", 3, (7, 9), 3, 17, (3, 3), stride=2, padding=1, stored=(19, 5)),
        convolution("3x3_sliced_dilation2", 1, (13, 5), 17, 5, (3, 3), padding=2, dilation=2, stored=(6, 20)),
        convolution("3x3_sliced_outputs_tile", 1, (8, 8), 16, 16, (3, 3), padding=1, stored=(32, 16)),
        convolution("7x7_stride2", 3, (13, 9), 3, 5, (7, 7), stride=2, padding=3),
        convolution("7x7_stride2_tile", 1, (16, 16), 3, 16, (7, 7), stride=2, padding=3),
        convolution("7x7_sliced_stride2", 2, (17, 15), 3, 5, (7, 7), stride=2, padding=3, stored=(8, 3)),
        convolution("7x7_smaller_image", 1, (5, 4), 1, 3, (7, 7), padding=3),
        convolution("5x5", 1, (7, 9), 3, 3, (5, 5), padding=2),
        convolution("1x3", 2, (7, 9), 3, 5, (1, 3), padding=1),
    ]


def max_pool(name, *shape):
    def build(attempt):
        case = Case(f"max_pool_{name}", "max_pool", attempt, kernel=3, stride=2, padding=1)
        x = leaf(case.normal(*shape, mean=-1))
        output = F.max_pool2d(x, 3, 2, 1)
        gradient = case.normal(*output.shape)
        output.backward(gradient)
        case.keep(input=x, gradOutput=gradient, output=output, gradInput=x.grad)
        padded = F.pad(x.detach().float(), (1, 1, 1, 1), value=float("-inf"))
        windows = F.unfold(padded.flatten(0, 1)[:, None].nan_to_num(neginf=-1e9), 3, stride=2)
        top = windows.topk(2, dim=1).values
        return case, (top[:, 0] - top[:, 1]).min().item()
    return first_clear(build, 1e-6)


def pool_cases():
    cases = [max_pool("one_pixel", 1, 1, 1, 1), max_pool("odd", 2, 3, 7, 9), max_pool("thin", 1, 5, 13, 5),
             max_pool("even", 2, 5, 8, 8), max_pool("tile", 1, 8, 16, 16)]
    for name, shape in {"one_pixel": (1, 3, 1, 1), "odd": (2, 17, 7, 9), "tile": (1, 16, 8, 8)}.items():
        case = Case(f"global_average_pool_{name}", "global_average_pool")
        x = leaf(case.normal(*shape, mean=0.5))
        output = x.mean((2, 3))
        gradient = case.normal(*output.shape)
        output.backward(gradient)
        case.keep(input=x, gradOutput=gradient, output=output, gradInput=x.grad)
        cases.append(case)
    return cases


def linear(name, batch, inputs, outputs, stored):
    case = Case(f"linear_{name}", "linear", inFeatures=inputs)
    x, weight = leaf(case.normal(batch, inputs)), leaf(case.normal(outputs, stored, deviation=inputs ** -0.5))
    bias = leaf(case.normal(outputs))
    output = F.linear(x, weight[:, :inputs], bias)
    gradient = case.normal(*output.shape)
    weight_initial, bias_initial = case.normal(*weight.shape), case.normal(outputs)
    output.backward(gradient)
    case.keep(input=x, weight=weight, bias=bias, gradOutput=gradient, gradWeightInitial=weight_initial,
              gradBiasInitial=bias_initial, output=output, gradInput=x.grad,
              gradWeight=weight_initial + weight.grad, gradBias=bias_initial + bias.grad)
    return case


def elementwise_cases():
    cases = []
    for name, shape in {"one": (1, 1, 1, 1), "odd": (2, 5, 7, 9), "tile": (1, 16, 8, 8)}.items():
        case = Case(f"relu_{name}", "relu")
        x = leaf(case.normal(*shape))
        output = F.relu(x)
        gradient = case.normal(*shape)
        output.backward(gradient)
        case.keep(input=x, gradOutput=gradient, output=output, gradInput=x.grad)
        cases.append(case)
        case = Case(f"add_{name}", "add")
        a, b = leaf(case.normal(*shape)), leaf(case.normal(*shape))
        output = a + b
        gradient = case.normal(*shape)
        output.backward(gradient)
        case.keep(inputA=a, inputB=b, gradOutput=gradient, output=output, gradInputA=a.grad, gradInputB=b.grad)
        cases.append(case)
    for name, shape in {"one": (1, 3), "odd": (5, 17), "wide": (3, 130), "tile": (16, 64)}.items():
        case = Case(f"l2_normalise_{name}", "l2_normalise", epsilon=1e-12)
        x = leaf(case.normal(*shape))
        output = F.normalize(x, dim=1, eps=1e-12)
        gradient = case.normal(*shape)
        output.backward(gradient)
        case.keep(input=x, gradOutput=gradient, output=output, gradInput=x.grad)
        cases.append(case)
    return cases


def loss_cases():
    cases = []
    for name, (batch, classes, scale) in {"one": (1, 2, 1), "odd": (5, 17, 2), "large_logits": (7, 10, 60),
                                          "many_classes": (4, 301, 3)}.items():
        case = Case(f"cross_entropy_{name}", "cross_entropy")
        logits = leaf(case.normal(batch, classes, deviation=scale))
        labels = torch.from_numpy(case.random.randint(0, classes, batch))
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        case.keep(logits=logits, labels=labels, loss=loss, gradLogits=logits.grad)
        cases.append(case)
    for name, (batch, dimension, queue, temperature) in {
            "one": (1, 3, 7, 0.2), "odd": (5, 17, 33, 0.2), "tile": (16, 32, 100, 0.2), "wide": (3, 128, 70, 0.07),
            "queue_smaller_than_batch": (9, 8, 4, 0.2)}.items():
        case = Case(f"info_nce_{name}", "info_nce", temperature=temperature)
        query = leaf(case.normal(batch, dimension))
        # Keys and queue are rounded to float32 after their normalisation, as they are when the loss reads them.
        near = 0.5 * F.normalize(query.detach()) + case.normal(batch, dimension, deviation=dimension ** -0.5)
        keys = exact(F.normalize(near))
        negatives = exact(F.normalize(case.normal(queue, dimension)))
        normalised = F.normalize(query, dim=1, eps=1e-12)
        normalised.retain_grad()
        positive = (normalised * keys).sum(1, keepdim=True)
        logits = torch.cat([positive, normalised @ negatives.T], 1) / temperature
        loss = F.cross_entropy(logits, torch.zeros(batch, dtype=torch.long))
        loss.backward()
        case.keep(query=query, normalisedQuery=normalised, keys=keys, queue=negatives, loss=loss, logits=logits,
                  gradNormalisedQuery=normalised.grad, gradQuery=query.grad)
        cases.append(case)
    return cases


def optimiser_cases():
    cases = []
    for name, (shape, momentum, decay) in {"one": ((1,), 0.9, 1e-4), "momentum": ((5, 3, 3, 3), 0.9, 0.0),
                                           "momentum_and_decay": ((17, 31), 0.9, 5e-2),
                                           "decay_alone": ((130,), 0.0, 1e-1)}.items():
        rates = [0.1, 0.05, 0.025]
        case = Case(f"sgd_{name}", "sgd", momentum=momentum, weightDecay=decay, learningRates=rates)
        weight = leaf(case.normal(*shape))
        case.keep(weight0=weight)
        optimiser = torch.optim.SGD([weight], lr=rates[0], momentum=momentum, weight_decay=decay)
        for step, rate in enumerate(rates, 1):
            optimiser.param_groups[0]["lr"] = rate
            weight.grad = case.normal(*shape)
            # Kept before the step: the optimiser may add the weight decay to the gradient in place.
            case.keep_named({f"gradient{step}": weight.grad.clone()})
            before = weight.grad.clone() + decay * weight.detach()
            optimiser.step()
            buffer = optimiser.state[weight].get("momentum_buffer")
            case.keep_named({f"weight{step}": weight, f"momentum{step}": before if buffer is None else buffer})
        cases.append(case)
    for name, (shape, momentum) in {"one": ((1,), 0.99), "odd": ((5, 3, 3, 3), 0.999)}.items():
        case = Case(f"ema_{name}", "ema", momentum=momentum)
        key, query = case.normal(*shape), case.normal(*shape)
        case.keep(key=key, query=query, output=momentum * key + (1 - momentum) * query)
        cases.append(case)
    return cases


def all_cases():
    """Every case, in the order of the file."""
    return [*convolution_cases(), *batchnorm_cases(), *pool_cases(),
            linear("one", 1, 1, 1, 1), linear("odd", 5, 17, 3, 17), linear("sliced", 3, 17, 5, 24),
            linear("tile", 8, 32, 16, 32), linear("sliced_tile", 16, 32, 17, 48),
            *elementwise_cases(), *loss_cases(), *optimiser_cases(), *block_cases(), *augmentation_cases()]


if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "operations.safetensors"),
                   file_bytes(all_cases(), "Golden values of single operations and blocks; see README.md"))
