"""Every operation with NaN or an infinity among ordinary inputs: of the operation, of its parameters, or of the output's
gradient. What comes out is PyTorch's."""
import torch
import torch.nn.functional as F

from cases import Case, exact, first_clear, leaf
from normalisation_cases import EPSILON, MOMENTUM, batchnorm, wide
from product_cases import convolution, linear, matmul

NAN, INF = float("nan"), float("inf")
EVERYTHING = slice(None)


def margin(values):
    """Distance of a ReLU's finite inputs to its kink."""
    finite = values.detach()[values.detach().isfinite()]
    return finite.abs().min().item() if len(finite) else INF


def relu(name, *shape, **special):
    def build(attempt):
        case = Case(f"relu_{name}", "relu", attempt, special=special)
        x = case.take("input", case.normal(*shape))
        output = F.relu(x)
        output.backward(case.take("gradOutput", case.normal(*shape)))
        case.keep(output=output, gradInput=x.grad)
        return case, margin(x)
    return first_clear(build, 1e-4)


def add(name, *shape, **special):
    case = Case(f"add_{name}", "add", special=special)
    a, b = case.take("inputA", case.normal(*shape)), case.take("inputB", case.normal(*shape))
    output = a + b
    output.backward(case.take("gradOutput", case.normal(*shape)))
    case.keep(output=output, gradInputA=a.grad, gradInputB=b.grad)
    return case


def max_pool(name, *shape, **special):
    def build(attempt):
        case = Case(f"max_pool_{name}", "max_pool", attempt, special=special, kernel=3, stride=2, padding=1)
        x = case.take("input", case.normal(*shape, mean=-1))
        output = F.max_pool2d(x, 3, 2, 1)
        output.backward(case.take("gradOutput", case.normal(*output.shape)))
        case.keep(output=output, gradInput=x.grad)
        # Windows of ordinary numbers alone must not hold two that are nearly as large.
        padded = F.pad(x.detach().float(), (1, 1, 1, 1), value=-1e9)
        windows = F.unfold(padded.flatten(0, 1)[:, None], 3, stride=2).transpose(1, 2).flatten(0, 1)
        top = windows[windows.isfinite().all(1)].topk(2, dim=1).values
        return case, (top[:, 0] - top[:, 1]).min().item()
    return first_clear(build, 1e-6)


def global_average_pool(name, *shape, **special):
    case = Case(f"global_average_pool_{name}", "global_average_pool", special=special)
    x = case.take("input", case.normal(*shape, mean=0.5))
    output = x.mean((2, 3))
    output.backward(case.take("gradOutput", case.normal(*output.shape)))
    case.keep(output=output, gradInput=x.grad)
    return case


def normalisation(name, shape, stored=None, groups=1, relu=False, added=False, training=True, wanted=None, **special):
    """`added`: whether there is a residual. `wanted(output)`: what the case is about, e.g. that ReLU stops a certain
    element; other seeds are passed over."""
    operation, stored = "batchnorm" if training else "batchnorm_evaluation", stored or shape[1]

    def build(attempt):
        case = Case(f"{operation}_{name}", operation, attempt, special=special, epsilon=EPSILON, momentum=MOMENTUM,
                    groups=groups, relu=relu, residual=added)
        x = case.take("input", case.normal(*shape, mean=0.3, deviation=1.5))
        weight = case.take("weight", case.uniform(stored, low=0.5, high=1.5))
        bias = case.take("bias", case.normal(stored, deviation=0.5))
        mean = case.take("runningMean", case.normal(stored, mean=0.3, deviation=0.75)).detach()
        variance = case.take("runningVariance", case.uniform(stored, low=1, high=4)).detach()
        active = [tensor[:shape[1]] for tensor in (weight, bias, mean, variance)]
        if training:
            output, mean_after, variance_after = batchnorm(x, *active, groups)
            case.keep(runningMeanAfter=wide(mean, mean_after), runningVarianceAfter=wide(variance, variance_after))
        else:
            output = F.batch_norm(x, active[2], active[3], active[0], active[1], False, MOMENTUM, EPSILON)
        if added:
            addend = case.take("residual", case.normal(*shape))
            output = output + addend
        distance = margin(output) if relu else INF
        output = F.relu(output) if relu else output
        weight_initial = case.take("gradWeightInitial", case.normal(stored))
        bias_initial = case.take("gradBiasInitial", case.normal(stored))
        output.backward(case.take("gradOutput", case.normal(*shape)))
        case.keep(output=output, gradInput=x.grad, gradWeight=weight_initial + weight.grad,
                  gradBias=bias_initial + bias.grad)
        if added:
            case.keep(gradResidual=addend.grad)
        return case, distance if wanted is None or wanted(output) else 0
    return first_clear(build, 1e-4)


def l2_normalise(name, *shape, **special):
    case = Case(f"l2_normalise_{name}", "l2_normalise", special=special, epsilon=1e-12)
    x = case.take("input", case.normal(*shape))
    output = F.normalize(x, dim=1, eps=1e-12)
    output.backward(case.take("gradOutput", case.normal(*shape)))
    case.keep(output=output, gradInput=x.grad)
    return case


def cross_entropy(name, labels, classes, *places):
    """`places`: index and value of each special logit."""
    case = Case(f"cross_entropy_{name}", "cross_entropy", special={"logits": places})
    logits = case.take("logits", case.normal(len(labels), classes, deviation=2))
    labels = torch.tensor(labels)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    case.keep(labels=labels, loss=loss, gradLogits=logits.grad)
    return case


def info_nce(name, batch, dimension, count, **special):
    """Special numbers in `query` go through the normalisation; in `normalisedQuery` they stand behind it."""
    case = Case(f"info_nce_{name}", "info_nce", special=special, temperature=0.2)
    query = case.normal(batch, dimension)
    keys = case.take("keys", exact(F.normalize(
        0.5 * F.normalize(query) + case.normal(batch, dimension, deviation=dimension ** -0.5)))).detach()
    queue = case.take("queue", exact(F.normalize(case.normal(count, dimension)))).detach()
    if "query" in special:
        query = case.take("query", query)
        normalised = F.normalize(query, dim=1, eps=1e-12)
        case.keep(normalisedQuery=normalised)
    else:
        query = normalised = case.take("normalisedQuery", F.normalize(query))
    normalised.retain_grad()
    positive = (normalised * keys).sum(1, keepdim=True)
    loss = F.cross_entropy(torch.cat([positive, normalised @ queue.T], 1) / 0.2, torch.zeros(batch, dtype=torch.long))
    loss.backward()
    case.keep(loss=loss, gradNormalisedQuery=normalised.grad)
    if "query" in special:
        case.keep(gradQuery=query.grad)
    return case


def sgd(name, shape, decay, **special):
    rates = [0.1, 0.05, 0.025]
    case = Case(f"sgd_{name}", "sgd", special=special, momentum=0.9, weightDecay=decay, learningRates=rates)
    weight = leaf(case.take("weight0", case.normal(*shape)).detach())
    optimiser = torch.optim.SGD([weight], lr=rates[0], momentum=0.9, weight_decay=decay)
    for step, rate in enumerate(rates, 1):
        optimiser.param_groups[0]["lr"] = rate
        weight.grad = case.take(f"gradient{step}", case.normal(*shape)).detach()
        optimiser.step()
        case.keep_named({f"weight{step}": weight, f"momentum{step}": optimiser.state[weight]["momentum_buffer"]})
    return case


def ema(name, shape, **special):
    case = Case(f"ema_{name}", "ema", special=special, momentum=0.99)
    key, query = case.take("key", case.normal(*shape)), case.take("query", case.normal(*shape))
    case.keep(output=0.99 * key + (1 - 0.99) * query)
    return case


def unused(outputs, inputs):
    """NaN in every element of a stored weight outside its active [outputs, inputs]."""
    return [(slice(outputs, None), NAN), ((EVERYTHING, slice(inputs, None)), NAN)]


def elementwise():
    return [
        relu("nonfinite", 2, 3, 3, 5, input=[((0, 0, 0, 0), NAN), ((0, 1, 2, 4), INF), ((1, 2, 1, 3), -INF)]),
        relu("nonfinite_tile", 1, 2, 4, 8, input=[((0, 0, 3, 7), NAN), ((0, 1, 2, 4), -INF)]),
        # What ReLU stops is zero, whatever it was.
        relu("nonfinite_gradient", 1, 3, 3, 5,
             input=[((0, 0, 0), torch.tensor([1, 1, -1, -1, -1])), ((0, 1, 0, 0), NAN)],
             gradOutput=[((0, 0, 0), torch.tensor([NAN, INF, NAN, INF, -INF]))]),
        add("nonfinite", 2, 3, 3, 5, inputA=[((0, 0, 0, 0), NAN), ((0, 1, 1, 1), INF), ((1, 0, 0, 0), INF)],
            inputB=[((0, 2, 2, 4), -INF), ((1, 0, 0, 0), -INF), ((1, 2, 2, 4), NAN)], gradOutput=[((0, 1, 2, 3), NAN)]),
        add("nonfinite_gradient", 1, 1, 3, 5, gradOutput=[((0, 0, 0, 0), INF), ((0, 0, 2, 4), -INF)]),
    ]


def pools():
    return [
        # One NaN in the middle of four windows, one in a corner.
        max_pool("nan", 1, 2, 7, 9, input=[((0, 0, 3, 3), NAN), ((0, 1, 0, 0), NAN), ((0, 1, 6, 8), NAN)]),
        max_pool("nan_first", 1, 1, 7, 5, input=[((0, 0, 2, 2), NAN), ((0, 0, 4, 4), 9.0)]),
        max_pool("two_nans", 1, 1, 7, 9, input=[((0, 0, 1, 1), NAN), ((0, 0, 2, 3), NAN), ((0, 0, 2, 2), INF)]),
        max_pool("infinite", 2, 1, 8, 8, input=[((0, 0, 3, 3), INF), ((1, 0, 7, 7), -INF), ((1, 0, 2, 2), -INF)]),
        max_pool("two_infinities", 1, 1, 7, 7, input=[((0, 0, 1, 1), INF), ((0, 0, 2, 1), INF)]),
        max_pool("all_minus_infinity", 1, 2, 5, 5,
                 input=[((0, 1, slice(0, 2), slice(0, 2)), -INF), ((0, 0, slice(3, 5), slice(1, 4)), -INF)]),
        max_pool("nonfinite_gradient", 1, 2, 7, 9, gradOutput=[((0, 0, 0, 0), NAN), ((0, 1, 2, 3), -INF)]),
        global_average_pool("nonfinite", 2, 3, 5, 7, input=[
            ((0, 0, 4, 6), NAN), ((0, 2, 0, 0), INF), ((1, 0, 2, 2), -INF), ((1, 2, 0, 0), INF), ((1, 2, 4, 6), -INF)],
            gradOutput=[((0, 1), NAN), ((0, 2), INF)]),
        global_average_pool("nonfinite_tile", 1, 4, 8, 8, input=[((0, 1, 7, 7), NAN), ((0, 3, 4, 0), -INF)]),
    ]


def normalisations():
    stopped = {"wanted": lambda output: output[1, 2, 1, 1] == 0, "relu": True}
    passed = {"wanted": lambda output: output[1, 2, 1, 1] > 0, "relu": True}
    here, evaluation = (1, 2, 1, 1), {"training": False}
    return [
        normalisation("nan", (2, 3, 3, 5), input=[(here, NAN)]),
        normalisation("nan_first", (2, 3, 3, 5), input=[((0, 0, 0, 0), NAN)]),
        normalisation("nan_relu", (2, 3, 3, 5), relu=True, input=[(here, NAN)]),
        normalisation("nan_residual_relu_tile", (2, 4, 4, 4), 6, relu=True, added=True, input=[(here, NAN)]),
        normalisation("infinite", (2, 3, 3, 5), 5, input=[(here, INF)]),
        normalisation("infinite_first", (3, 3, 5, 3), input=[((0, 0, 0, 0), INF), ((0, 2, 0, 0), -INF)]),
        normalisation("minus_infinity_relu_tile", (2, 4, 4, 4), relu=True, input=[(here, -INF)]),
        normalisation("infinite_vectors", (7, 5, 1, 1), relu=True, input=[((6, 1, 0, 0), INF)]),
        normalisation("nan_groups", (4, 3, 3, 5), groups=2, input=[((1, 2, 1, 1), NAN)]),
        normalisation("infinite_groups_relu", (6, 3, 3, 3), 5, groups=3, relu=True, input=[((2, 1, 0, 0), INF)]),
        normalisation("nan_groups_residual_relu_tile", (4, 2, 4, 4), groups=4, relu=True, added=True,
                      input=[((3, 0, 3, 3), NAN)]),
        normalisation("nonfinite_residual", (2, 3, 3, 5), added=True,
                      residual=[((0, 0, 0, 0), NAN), (here, INF)]),
        normalisation("nonfinite_residual_relu", (2, 3, 3, 5), relu=True, added=True,
                      residual=[((0, 0, 0, 0), NAN), ((0, 1, 0, 0), INF), (here, -INF)]),
        normalisation("nan_parameters", (2, 5, 3, 5), weight=[(1, NAN)], bias=[(3, NAN)]),
        normalisation("nan_parameters_relu_tile", (2, 4, 4, 4), relu=True, weight=[(1, NAN)], bias=[(2, NAN), (3, -INF)]),
        normalisation("nan_unused", (2, 3, 3, 5), 6, relu=True, **{name: [(slice(3, None), NAN)] for name in (
            "weight", "bias", "runningMean", "runningVariance")}),
        normalisation("nonfinite_running", (2, 4, 4, 4), runningMean=[(0, NAN), (1, INF)],
                      runningVariance=[(1, NAN), (2, INF)]),
        normalisation("nan_gradient", (2, 3, 3, 5), gradOutput=[(here, NAN)]),
        normalisation("nan_gradient_relu", (2, 3, 3, 5), gradOutput=[(here, NAN)], **passed),
        normalisation("nan_gradient_stopped", (2, 3, 3, 5), gradOutput=[(here, NAN)], **stopped),
        normalisation("infinite_gradient_stopped_tile", (2, 4, 4, 4), added=True, gradOutput=[(here, INF)], **stopped),
        normalisation("nan_gradient_residual_groups", (4, 3, 3, 5), groups=2, added=True, gradOutput=[(here, NAN)]),
        normalisation("infinite_gradient", (2, 3, 3, 5), gradOutput=[(here, INF)]),
        normalisation("nonfinite", (2, 3, 3, 5), input=[
            ((0, 0, 0, 0), NAN), ((0, 1, 2, 4), INF), (here, -INF)], **evaluation),
        normalisation("nonfinite_relu_tile", (2, 4, 4, 4), 6, relu=True, input=[
            ((0, 0, 0, 0), NAN), ((0, 1, 3, 3), INF), (here, -INF)], **evaluation),
        normalisation("nonfinite_residual_relu", (2, 4, 3, 5), relu=True, added=True, residual=[
            ((0, 0, 0, 0), NAN), ((0, 1, 2, 4), INF), (here, -INF)], **evaluation),
        normalisation("nan_parameters", (2, 5, 3, 5), 7, weight=[(0, NAN), (5, NAN)], bias=[(1, NAN), (6, NAN)],
                      runningMean=[(2, NAN), (5, NAN)], runningVariance=[(3, NAN), (6, NAN)], **evaluation),
        normalisation("infinite_statistics", (2, 4, 4, 4), runningMean=[(1, INF)],
                      runningVariance=[(2, INF)], **evaluation),
        normalisation("nonfinite_gradient", (2, 3, 3, 5), gradOutput=[((0, 0, 0, 0), NAN), (here, INF)], **evaluation),
        normalisation("nan_gradient_stopped", (2, 3, 3, 5), gradOutput=[(here, NAN)], **stopped, **evaluation),
    ]


def products():
    return [
        linear("nonfinite", 5, 17, 3, input=[((0, 0), NAN), ((2, 16), INF), ((4, 8), -INF)]),
        linear("nonfinite_no_bias", 3, 5, 17, biased=False, input=[((1, 4), NAN)]),
        linear("nonfinite_tile", 8, 16, 8, input=[((7, 15), NAN), ((0, 3), INF)]),
        linear("nonfinite_parameters", 5, 17, 4, weight=[((0, 0), NAN), ((1, 16), INF)], bias=[(2, NAN)]),
        linear("nonfinite_parameters_tile", 8, 16, 8, weight=[((3, 5), NAN)], bias=[(7, -INF)]),
        linear("nan_unused", 5, 7, 3, (6, 10), weight=unused(3, 7), bias=[(slice(3, None), NAN)]),
        linear("nonfinite_gradient", 5, 17, 3, gradOutput=[((1, 0), NAN), ((3, 2), INF)]),
        linear("nonfinite_gradient_tile", 8, 8, 8, (9, 12), gradOutput=[((7, 7), NAN)], weight=unused(8, 8)),
        matmul("nonfinite", (), 3, 5, 17, a=[((0, 0), NAN)], b=[((4, 16), INF)]),
        matmul("nonfinite_a", (), 17, 3, 5, "a", a=[((2, 16), NAN)], b=[((0, 0), -INF)]),
        matmul("nonfinite_b", (), 5, 17, 3, "b", a=[((4, 16), INF)], b=[((1, 7), NAN)]),
        matmul("nonfinite_ab", (), 3, 17, 5, "ab", a=[((8, 1), -INF)], b=[((4, 16), NAN)]),
        matmul("nonfinite_tile", (), 8, 16, 8, a=[((7, 15), NAN)], b=[((0, 0), INF)]),
        matmul("nonfinite_tile_b", (), 8, 8, 8, "b", a=[((3, 5), NAN)]),
        matmul("nonfinite_batch", (3,), 5, 3, 7, a=[((0, 4, 2), NAN)], b=[((2, 0, 0), INF)]),
        matmul("nonfinite_gradient", (), 5, 3, 7, gradOutput=[((4, 6), NAN)]),
        matmul("nonfinite_gradient_batch", (2, 2), 3, 5, 4, "ab", gradOutput=[((0, 1, 2, 3), NAN), ((1, 0, 0, 0), INF)]),
    ]


def without_input_gradient(case):
    """Near the output's edges PyTorch leaves windows out that are not there; multiplied as zeros, as forwards, they give
    NaN with such a weight. Both follow from a formula."""
    del case.tensors["gradInput"]
    return case


def convolutions():
    corners = [((0, 0, 0, 0), NAN), ((0, 1, 4, 6), INF)]
    return [
        convolution("nonfinite_1x1", 1, (5, 7), 3, 5, (1, 1), biased=False, input=corners),
        convolution("nonfinite_1x1_stride2", 2, (5, 7), 3, 5, (1, 1), stride=2, input=[
            *corners, ((1, 0, 1, 1), NAN)], gradOutput=[((1, 4, 2, 3), NAN)]),
        convolution("nonfinite_1x1_tile", 1, (4, 4), 8, 8, (1, 1), stored=(9, 10), input=[((0, 7, 3, 3), NAN)],
                    weight=unused(8, 8)),
        # A row's end and the next one's start lie side by side in memory.
        convolution("nonfinite_3x3", 1, (5, 7), 3, 5, (3, 3), input=[((0, 0, 2, 6), NAN), ((0, 1, 4, 0), INF)]),
        convolution("nonfinite_3x3_padded", 2, (5, 7), 3, 3, (3, 3), padding=1, biased=False,
                    input=[((0, 0, 2, 6), NAN), ((1, 1, 0, 0), -INF)]),
        convolution("nonfinite_3x3_padded_tile", 1, (8, 8), 3, 4, (3, 3), stored=(5, 4), padding=1,
                    input=[((0, 2, 7, 7), NAN)], weight=unused(4, 3), bias=[(slice(4, None), NAN)]),
        convolution("nonfinite_3x3_stride2", 1, (7, 9), 3, 5, (3, 3), stride=2, padding=1,
                    input=[((0, 0, 3, 8), NAN), ((0, 2, 6, 4), INF)]),
        convolution("nonfinite_3x3_dilation2", 1, (7, 7), 2, 3, (3, 3), padding=2, dilation=2,
                    input=[((0, 1, 3, 6), NAN)]),
        convolution("nonfinite_7x7_stride2", 1, (9, 9), 2, 2, (7, 7), stride=2, padding=3, biased=False,
                    input=[((0, 1, 0, 8), NAN)]),
        without_input_gradient(
            convolution("nonfinite_parameters", 1, (5, 7), 3, 5, (3, 3),
                    weight=[((0, 0, 0, 0), NAN), ((2, 1, 2, 2), INF)], bias=[(3, NAN), (4, -INF)])),
        # Zeros of the padding are multiplied: one plane is NaN altogether, the other where the infinity meets padding.
        without_input_gradient(
            convolution("nonfinite_weight_padded", 1, (5, 5), 2, 3, (3, 3), padding=1,
                    weight=[((0, 0, 0, 0), NAN), ((2, 1, 0, 2), INF)])),
        convolution("nonfinite_gradient", 1, (5, 7), 3, 5, (3, 3), gradOutput=[((0, 0, 2, 4), NAN), ((0, 3, 0, 0), INF)]),
        convolution("nonfinite_gradient_stride2", 1, (7, 9), 3, 4, (3, 3), stride=2, biased=False,
                    gradOutput=[((0, 1, 2, 3), NAN)]),
        convolution("nonfinite_gradient_padded", 1, (5, 5), 2, 3, (3, 3), padding=1,
                    gradOutput=[((0, 1, 0, 0), NAN), ((0, 2, 2, 4), -INF)]),
    ]


def losses():
    return [
        l2_normalise("nan", 5, 17, input=[((1, 0), NAN), ((4, 16), NAN)]),
        l2_normalise("infinite", 5, 17, input=[((0, 3), INF), ((2, 0), -INF)]),
        l2_normalise("nonfinite_wide", 2, 130, input=[((0, 129), NAN), ((1, 64), INF)]),
        l2_normalise("nonfinite_gradient", 5, 16, gradOutput=[((1, 0), NAN), ((3, 7), INF)]),
        cross_entropy("nan", [0, 3, 2], 5, ((1, 1), NAN)),
        cross_entropy("nan_label", [0, 3, 2], 5, ((1, 3), NAN)),
        cross_entropy("infinite", [0, 3, 2], 5, ((2, 4), INF)),
        cross_entropy("infinite_label", [0, 3, 2], 5, ((2, 2), INF)),
        # A class that is excluded: its probability is zero, and everything else finite.
        cross_entropy("minus_infinity", [0, 3, 2], 5, ((0, 4), -INF), ((2, 0), -INF), ((2, 1), -INF)),
        # A label that is excluded: an infinite loss with an ordinary gradient.
        cross_entropy("minus_infinity_label", [0, 3, 2], 5, ((0, 0), -INF)),
        cross_entropy("all_minus_infinity", [0, 3, 2], 5, (1, -INF)),
        cross_entropy("all_others_minus_infinity", [0, 3, 2], 5, ((1, slice(0, 3)), -INF), ((1, 4), -INF)),
        cross_entropy("nonfinite_many_classes", [130, 7, 70], 131, ((0, 129), -INF), ((1, 130), NAN), ((2, 0), -INF)),
        info_nce("nan_query", 3, 17, 33, query=[((1, 16), NAN)]),
        info_nce("infinite_query", 3, 16, 20, query=[((2, 0), INF)]),
        info_nce("nan_normalised", 5, 8, 9, normalisedQuery=[((4, 0), NAN)]),
        info_nce("infinite_normalised", 3, 5, 7, normalisedQuery=[((0, 1), INF)]),
        info_nce("nan_key", 3, 17, 7, keys=[((1, 2), NAN)]),
        # Of the two infinite products one makes its row NaN; the other, minus infinity, an infinite loss.
        info_nce("infinite_keys", 3, 8, 7, normalisedQuery=[((1, 2), 0.5), ((2, 0), 0.25)],
                 keys=[((1, 2), -INF), ((2, 0), INF)]),
        info_nce("infinite_key", 3, 8, 7, normalisedQuery=[((1, 2), 0.5)], keys=[((1, 2), -INF)]),
        info_nce("nan_queue", 3, 17, 33, queue=[((32, 16), NAN)]),
        info_nce("infinite_queue", 3, 8, 20, queue=[((7, 3), INF)]),
        # A negative infinitely far from every query: no loss, but 0 * infinity in one column of the gradient.
        info_nce("minus_infinite_queue", 3, 8, 20, normalisedQuery=[((EVERYTHING, 3), 0.5)], queue=[((7, 3), -INF)]),
    ]


def updates():
    return [
        sgd("nonfinite", (5, 7), 5e-2, weight0=[((4, 6), NAN)],
            gradient1=[((0, 0), NAN), ((1, 1), INF)], gradient2=[((2, 2), -INF)], gradient3=[((3, 3), NAN)]),
        # An infinite weight of step 2 and a weight decay of 0 in step 3: there is no decay, and so no 0 * infinity.
        sgd("infinite_no_decay", (16,), 0.0, gradient1=[(5, NAN)], gradient2=[(15, INF)]),
        ema("nonfinite", (3, 5), key=[((0, 0), NAN), ((1, 1), INF), ((2, 4), INF)],
            query=[((0, 4), NAN), ((2, 0), -INF), ((2, 4), -INF)]),
    ]


def nonfinite_cases():
    """Every case, in the order of the file."""
    return [*elementwise(), *pools(), *normalisations(), *products(), *convolutions(),
            *losses(), *updates()]
