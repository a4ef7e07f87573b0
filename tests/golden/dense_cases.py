"""Operations of dense prediction, NaN and infinities too: what comes out is PyTorch's."""
import torch
import torch.nn.functional as F
from torchvision.ops import FrozenBatchNorm2d

import cases
from cases import Case, first_clear
from product_cases import finish

NAN, INF = float("nan"), float("inf")


def backward(case, output, **inputs):
    """The backward pass from a random gradient of the output, and what it leaves."""
    output.backward(case.take("gradOutput", case.normal(*output.shape)))
    case.keep(output=output)
    case.keep_named({f"grad{name[0].upper()}{name[1:]}": value.grad for name, value in inputs.items()})
    return case


def bilinear(name, shape, size, align_corners=False, **special):
    case = Case(f"bilinear_{name}", "bilinear", special=special, size=size, alignCorners=align_corners)
    x = case.take("input", case.normal(*shape))
    return backward(case, F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners), input=x)


def resizing_cases():
    for aligned in (False, True):
        corners = "aligned" if aligned else "edges"
        yield bilinear(f"up_{corners}", (2, 3, 4, 5), [9, 17], aligned)
        yield bilinear(f"double_{corners}", (1, 5, 3, 4), [6, 8], aligned)
        yield bilinear(f"down_{corners}", (1, 3, 13, 11), [5, 3], aligned)
        yield bilinear(f"mixed_{corners}", (1, 17, 3, 9), [8, 4], aligned)
        yield bilinear(f"from_one_{corners}", (2, 3, 1, 1), [5, 7], aligned)
        yield bilinear(f"to_one_{corners}", (1, 3, 5, 4), [1, 1], aligned)
        yield bilinear(f"same_{corners}", (1, 1, 5, 4), [5, 4], aligned,
                       input=[((0, 0, 1, 1), NAN)], gradOutput=[((0, 0, 3, 3), INF)])
        # Sizes at which no output lies on an input in one precision and beside it in another.
        yield bilinear(f"nonfinite_{corners}", (1, 3, 3, 4), [5, 7] if aligned else [6, 8], aligned,
                       input=[((0, 0, 1, 1), NAN), ((0, 1, 2, 0), -INF)],
                       gradOutput=[((0, 2, 0, 1), NAN), ((0, 1, -1, -1), INF)])
    # Some outputs lie exactly on an input: the other one is multiplied by 0.
    yield bilinear("nonfinite_centres", (1, 1, 9, 9), [3, 3], False,
                   input=[((0, 0, 2, 4), INF)], gradOutput=[((0, 0, 1, 1), NAN)])
    yield bilinear("nonfinite_points", (1, 1, 3, 3), [5, 5], True,
                   input=[((0, 0, 1, 1), INF)], gradOutput=[((0, 0, 2, 2), NAN)])


def nearest_add(name, planes, size, fine, **special):
    case = Case(f"nearest_add_{name}", "nearest_add", special=special)
    x, lateral = case.take("coarse", case.normal(*planes, *size)), case.take("lateral", case.normal(*planes, *fine))
    output = lateral + F.interpolate(x, size=fine, mode="nearest")
    return backward(case, output, coarse=x, lateral=lateral)


def nearest_cases():
    yield nearest_add("double", (2, 3), (3, 4), (6, 8))
    yield nearest_add("odd", (1, 5), (7, 5), (13, 9))
    yield nearest_add("uneven", (1, 17), (3, 7), (8, 7))
    yield nearest_add("down", (2, 3), (9, 11), (4, 3))
    yield nearest_add("from_one", (1, 1), (1, 1), (5, 3))
    yield nearest_add("nonfinite", (1, 3), (3, 2), (5, 4), coarse=[((0, 0, 1, 1), NAN), ((0, 1, 2, 0), INF)],
                      lateral=[((0, 1, 4, 0), -INF)], gradOutput=[((0, 2, 0, 1), NAN), ((0, 0, 4, 3), INF)])


def adaptive_average_pool(name, shape, size, **special):
    case = Case(f"adaptive_average_pool_{name}", "adaptive_average_pool", special=special, size=size)
    x = case.take("input", case.normal(*shape))
    return backward(case, F.adaptive_avg_pool2d(x, size), input=x)


def pooling_cases():
    for scale in (1, 2, 3, 6):
        yield adaptive_average_pool(f"pyramid_{scale}", (1, 3, 8, 13), [scale, scale])
    yield adaptive_average_pool("odd", (2, 5, 7, 11), [3, 5])
    yield adaptive_average_pool("more_cells", (1, 3, 3, 2), [7, 5])
    yield adaptive_average_pool("one_pixel", (2, 17, 1, 1), [3, 3])
    yield adaptive_average_pool("same", (1, 1, 4, 5), [4, 5])
    yield adaptive_average_pool("nonfinite", (1, 3, 5, 7), [2, 3],
                                input=[((0, 0, 2, 2), NAN), ((0, 1, 4, 6), INF)],
                                gradOutput=[((0, 2, 0, 1), NAN), ((0, 1, 1, 0), -INF)])


def transposed_convolution(name, batch, size, inputs, outputs, kernel, stride=1, padding=0, stored=None, biased=True,
                           **special):
    """`stored`: (inFull, outFull) of the stored weight, and outFull of the bias; the leading ones are active."""
    in_full, out_full = stored or (inputs, outputs)
    case = Case(f"transposed_convolution_{name}", "transposed_convolution", special=special, outChannels=outputs,
                stride=stride, padding=padding)
    deviation = (inputs * kernel[0] * kernel[1]) ** -0.5
    parameters = {"input": case.take("input", case.normal(batch, inputs, *size)),
                  "weight": case.take("weight", case.normal(in_full, out_full, *kernel, deviation=deviation))}
    if biased:
        parameters["bias"] = case.take("bias", case.normal(out_full))
    output = F.conv_transpose2d(parameters["input"], parameters["weight"][:inputs, :outputs],
                                parameters["bias"][:outputs] if biased else None, stride, padding)
    return finish(case, parameters, output)


def transposed_cases():
    yield transposed_convolution("mask", 2, (7, 5), 5, 3, (2, 2), 2)
    yield transposed_convolution("mask_tile", 1, (4, 8), 16, 16, (2, 2), 2)
    yield transposed_convolution("mask_sliced", 1, (5, 3), 3, 17, (2, 2), 2, stored=(5, 20))
    yield transposed_convolution("one_pixel", 1, (1, 1), 1, 1, (2, 2), 2, biased=False)
    yield transposed_convolution("overlapping", 1, (5, 7), 3, 5, (4, 4), 2, padding=1)
    yield transposed_convolution("dense", 1, (4, 8), 5, 3, (3, 3), padding=1)
    yield transposed_convolution("gaps", 2, (3, 4), 3, 5, (2, 2), 3)
    yield transposed_convolution("points", 1, (3, 4), 3, 5, (1, 1), 2, stored=(4, 6))
    yield transposed_convolution("uneven", 1, (3, 5), 1, 3, (3, 2), 2, biased=False)
    yield transposed_convolution("nonfinite", 1, (3, 4), 3, 5, (2, 2), 2, input=[((0, 0, 1, 1), NAN)],
                                 weight=[((2, 3, 0, 1), INF)], bias=[(4, NAN)], gradOutput=[((0, 1, 5, 7), INF)])


def pixel_cross_entropy(name, shape, size, align_corners=False, ignored=0.3, mean="valid", logit_size=1.0, **special):
    """`ignored`: the share of labels that are 255."""
    case = Case(f"pixel_cross_entropy_{name}", "pixel_cross_entropy", special=special, alignCorners=align_corners,
                ignore=255, mean=mean)
    labels = torch.from_numpy(case.random.randint(0, shape[1], (shape[0], *size)))
    labels[torch.from_numpy(case.random.uniform(size=labels.shape) < ignored)] = 255
    logits = case.take("logits", case.normal(*shape, deviation=logit_size))
    case.keep(labels=labels)
    resized = logits
    if shape[2:] != size:
        resized = F.interpolate(logits, size=size, mode="bilinear", align_corners=align_corners)
    loss = F.cross_entropy(resized, labels, ignore_index=255, reduction="sum")
    loss = loss / (labels.numel() if mean == "all" else (labels != 255).sum())
    loss.backward()
    case.keep(loss=loss, gradLogits=logits.grad)
    return case


def pixel_loss_cases():
    for aligned in (False, True):
        corners = "aligned" if aligned else "edges"
        yield pixel_cross_entropy(f"up_{corners}", (2, 5, 4, 3), (16, 12), aligned)
        yield pixel_cross_entropy(f"odd_{corners}", (1, 17, 3, 5), (11, 13), aligned)
        yield pixel_cross_entropy(f"down_{corners}", (1, 3, 9, 8), (4, 3), aligned)
        yield pixel_cross_entropy(f"one_pixel_{corners}", (2, 3, 1, 1), (5, 3), aligned)
    yield pixel_cross_entropy("same", (2, 5, 5, 7), (5, 7))
    yield pixel_cross_entropy("one_channel", (1, 1, 2, 3), (4, 5))
    yield pixel_cross_entropy("all_count", (1, 3, 3, 4), (6, 8), ignored=0)
    yield pixel_cross_entropy("mean_of_all", (1, 3, 3, 4), (6, 8), mean="all")
    yield pixel_cross_entropy("sure", (1, 3, 3, 4), (6, 8), logit_size=30.0)
    # NaN in an ignored pixel is none in the loss, but one in the gradient.
    yield pixel_cross_entropy("nonfinite_same", (1, 5, 4, 6), (4, 6), ignored=0.7,
                              logits=[((0, 0, 1, 1), NAN), ((0, 2, 3, 0), -INF)])
    yield pixel_cross_entropy("nonfinite_up", (1, 3, 4, 4), (8, 8), ignored=0.5,
                              logits=[((0, 0, 1, 1), NAN), ((0, 2, 3, 0), -INF)])
    yield pixel_cross_entropy("ignored_same", (1, 3, 4, 6), (4, 6), ignored=0.9, logits=[((0, 1), NAN)])
    yield pixel_cross_entropy("excluded_same", (1, 3, 4, 6), (4, 6), ignored=0, logits=[((0, 2), -INF)])


def pixel_predictions(name, shape, size, align_corners=False, attempt=0, **special):
    """Classes and probabilities of interpolated logits; of ordinary ones none where two logits are nearly the largest."""
    case = Case(f"pixel_predictions_{name}", "pixel_predictions", attempt, special=special, size=list(size),
                alignCorners=align_corners)
    logits = case.take("logits", case.normal(*shape)).detach()
    resized = logits
    if shape[2:] != size:
        resized = F.interpolate(logits, size=size, mode="bilinear", align_corners=align_corners)
    case.keep(classes=resized.argmax(1), probabilities=resized.softmax(1))
    two = resized.topk(min(2, shape[1]), 1).values
    gap = two[:, 0] - two[:, -1] if shape[1] > 1 else torch.ones(1)
    return case, gap[gap.isfinite()].min().item() if gap.isfinite().any() else 1


def prediction_cases():
    for name, *sizes in [("up", (1, 5, 3, 4), (6, 8)), ("odd", (2, 3, 2, 3), (7, 5)), ("same", (1, 17, 3, 4), (3, 4)),
                         ("one_channel", (1, 1, 2, 2), (3, 3)), ("down", (1, 5, 8, 9), (3, 4))]:
        for aligned in (False, True):
            yield first_clear(lambda attempt: pixel_predictions(
                f"{name}_{'aligned' if aligned else 'edges'}", *sizes, aligned, attempt), 1e-4)
    ties = [((0, 1, 0), 3.0), ((0, 2, 0), 3.0), ((0, 3, 1, 1), NAN), ((0, 2, 1, 1), NAN), ((0, 4, 1, 2), INF),
            ((0, 3, 1, 3), -INF)]
    yield pixel_predictions("nonfinite_ties", (1, 5, 2, 4), (2, 4), logits=ties)[0]


def elementwise_loss(case, compute, x, y, reduction, weighted):
    """`compute(x, y)`: the losses of the elements."""
    losses = compute(x, y)
    if weighted:
        losses = losses * case.take("weights", case.uniform(*x.shape)).detach()
    loss = losses.sum() if reduction == "sum" else losses.mean()
    loss.backward()
    case.keep(loss=loss, gradInput=x.grad)
    return case


def sigmoid_cross_entropy(name, *shape, reduction="mean", weighted=False, hard=False, size=3.0, **special):
    """`hard`: targets are 0 and 1."""
    case = Case(f"sigmoid_cross_entropy_{name}", "sigmoid_cross_entropy", special=special, reduction=reduction)
    target = case.uniform(*shape)
    x, y = case.take("input", case.normal(*shape, deviation=size)), case.take("target", target.round() if hard else target)
    return elementwise_loss(case, lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"), x, y.detach(),
                            reduction, weighted)


def smooth_l1(name, *shape, beta=1.0, reduction="mean", weighted=False, **special):
    case = Case(f"smooth_l1_{name}", "smooth_l1", special=special, beta=beta, reduction=reduction)
    x, y = case.take("input", case.normal(*shape)), case.take("target", case.normal(*shape))
    # Of beta 0 PyTorch's gradient at 0 is -1 in one function and 0 in the other.
    compute = (lambda x, y: F.smooth_l1_loss(x, y, beta=beta, reduction="none")) if beta > 0 else (
        lambda x, y: F.l1_loss(x, y, reduction="none"))
    return elementwise_loss(case, compute, x, y.detach(), reduction, weighted)


def elementwise_loss_cases():
    yield sigmoid_cross_entropy("one", 1)
    yield sigmoid_cross_entropy("mean", 5, 17, hard=True)
    yield sigmoid_cross_entropy("sum", 3, 67, reduction="sum")
    yield sigmoid_cross_entropy("weighted", 5, 13, reduction="sum", weighted=True, hard=True)
    yield sigmoid_cross_entropy("weighted_mean", 3, 5, weighted=True)
    yield sigmoid_cross_entropy("large", 5, 17, hard=True, size=100.0)
    yield sigmoid_cross_entropy("nan", 2, 3, input=[((0, 1), NAN)], target=[((1, 2), NAN)])
    for name, value, target in [("infinite", INF, 0.0), ("infinite_sure", INF, 1.0), ("minus_infinite", -INF, 0.0),
                                ("minus_infinite_wrong", -INF, 1.0), ("infinite_between", INF, 0.5)]:
        yield sigmoid_cross_entropy(name, 2, 3, input=[((0, 1), value)], target=[((0, 1), target)])
    yield smooth_l1("mean", 5, 17)
    yield smooth_l1("boxes", 7, 4, beta=1 / 9, reduction="sum")
    yield smooth_l1("weighted", 5, 13, beta=0.5, reduction="sum", weighted=True)
    yield smooth_l1("l1", 3, 67, beta=0.0, reduction="sum")
    yield smooth_l1("same", 2, 3, beta=0.0, input=[((0, 1), 2.0)], target=[((0, 1), 2.0)])
    yield smooth_l1("edge", 1, 3, beta=0.5, input=[((0, 0), 1.5), ((0, 1), -1.5)], target=[((0, 0), 1.0), ((0, 1), -1.0)])
    yield smooth_l1("nan", 2, 3, input=[((0, 1), NAN)], target=[((1, 1), INF)])
    yield smooth_l1("infinite", 2, 3, beta=1 / 9, input=[((0, 1), -INF)])
    yield smooth_l1("l1_nan", 2, 3, beta=0.0, input=[((0, 1), NAN), ((1, 0), INF)], target=[((1, 0), INF)])


def frozen_batchnorm(name, shape, stored, relu=False, residual=False, **special):
    def build(attempt):
        case = Case(f"frozen_batchnorm_{name}", "frozen_batchnorm", attempt, special=special, relu=relu)
        channels = shape[1]
        layer = FrozenBatchNorm2d(channels).to(cases.REFERENCE)
        state = {"weight": case.normal(stored, mean=1.0), "bias": case.normal(stored),
                 "running_mean": case.normal(stored), "running_var": case.uniform(stored, low=0.1, high=2.0)}
        state = {key: case.take(key, value).detach() for key, value in state.items()}
        layer.load_state_dict({key: value[:channels] for key, value in state.items()})
        x = case.take("input", case.normal(*shape))
        before = layer(x)
        inputs = {"input": x}
        if residual:
            inputs["residual"] = case.take("residual", case.normal(*shape))
            before = before + inputs["residual"]
        finite = before.detach()[before.detach().isfinite()]
        return backward(case, F.relu(before) if relu else before, **inputs), finite.abs().min().item() if relu else 1
    return first_clear(build, 1e-4)


def frozen_batchnorm_cases():
    yield frozen_batchnorm("plain", (2, 5, 3, 7), 5)
    yield frozen_batchnorm("sliced_relu", (1, 17, 5, 4), 20, relu=True)
    yield frozen_batchnorm("residual", (2, 3, 4, 4), 3, relu=True, residual=True)
    yield frozen_batchnorm("one_pixel", (1, 3, 1, 1), 3)
    yield frozen_batchnorm("nonfinite", (1, 3, 3, 5), 3, relu=True, input=[((0, 0, 1, 1), NAN), ((0, 1, 2, 4), INF)],
                           gradOutput=[((0, 2, 0, 0), NAN), ((0, 2, 2, 2), INF)])


def concatenate(name, images, channels, size, **special):
    case = Case(f"concatenate_{name}", "concatenate", special=special, inputs=len(channels))
    inputs = {f"input{at}": case.take(f"input{at}", case.normal(images, count, *size))
              for at, count in enumerate(channels)}
    return backward(case, torch.cat(list(inputs.values()), 1), **inputs)


def concatenate_cases():
    yield concatenate("pyramid", 2, [5, 3, 1, 3], (3, 5))
    yield concatenate("one", 3, [17], (1, 1))
    yield concatenate("nonfinite", 2, [1, 3], (2, 3), input0=[((1, 0, 0, 0), NAN)], input1=[((0, 2, 1, 2), INF)],
                      gradOutput=[((1, 0, 1, 1), NAN), ((0, 3, 0, 0), -INF)])


def dense_cases():
    """Every case, in the order of the file."""
    return [*resizing_cases(), *nearest_cases(), *pooling_cases(), *transposed_cases(), *pixel_loss_cases(),
            *prediction_cases(), *elementwise_loss_cases(), *frozen_batchnorm_cases(), *concatenate_cases()]
