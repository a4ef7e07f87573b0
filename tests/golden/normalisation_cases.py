"""Batchnorm cases: training with optional residual, ReLU and groups of the batch; evaluation."""
import torch
import torch.nn.functional as F

from cases import Case, exact, first_clear, leaf

EPSILON, MOMENTUM = 1e-5, 0.1


def batchnorm(x, weight, bias, mean, variance, groups, momentum=MOMENTUM):
    """Training-mode batchnorm of contiguous equal groups of the batch, and the running statistics after it: each
    group has its own statistics, and the running ones move towards the mean over the groups."""
    parts, means, variances = [], [], []
    for part in x.chunk(groups):
        # F.batch_norm itself gives the group's mean and unbiased variance: with momentum 1 they replace what is there.
        group_mean, group_variance = torch.zeros_like(mean), torch.zeros_like(variance)
        parts.append(F.batch_norm(part, group_mean, group_variance, weight, bias, True, 1.0, EPSILON))
        means.append(group_mean)
        variances.append(group_variance)
    mean_after = (1 - momentum) * mean + momentum * torch.stack(means).mean(0)
    variance_after = (1 - momentum) * variance + momentum * torch.stack(variances).mean(0)
    return torch.cat(parts), mean_after, variance_after


def wide(full, active):
    """`full` with its leading part replaced by `active`."""
    return torch.cat([active, full[active.shape[0]:]])


def build(name, shape, stored, operation, attempt, groups, relu, residual, mean, deviation, forward, backward):
    channels = shape[1]
    case = Case(name, operation, attempt, forward, backward, epsilon=EPSILON, momentum=MOMENTUM, groups=groups,
                relu=relu, residual=residual)
    x = leaf(case.normal(*shape, mean=mean, deviation=deviation))
    weight, bias = leaf(case.uniform(stored, low=0.5, high=1.5)), leaf(case.normal(stored, deviation=0.5))
    running_mean = case.normal(stored, mean=mean, deviation=0.5 * deviation)
    running_variance = exact(case.uniform(stored, low=0.5, high=2) * deviation ** 2)
    addend = leaf(case.normal(*shape)) if residual else None
    active = [tensor[:channels] for tensor in (weight, bias, running_mean, running_variance)]
    if operation == "batchnorm":
        output, mean_after, variance_after = batchnorm(x, *active, groups)
    else:
        output = F.batch_norm(x, active[2], active[3], active[0], active[1], False, MOMENTUM, EPSILON)
    if residual:
        output = output + addend
    distance = output.detach().abs().min().item() if relu else float("inf")
    if relu:
        output = F.relu(output)
    gradient = case.normal(*shape)
    weight_initial, bias_initial = case.normal(stored), case.normal(stored)
    output.backward(gradient)
    case.keep(input=x, weight=weight, bias=bias, runningMean=running_mean, runningVariance=running_variance,
              gradOutput=gradient, gradWeightInitial=weight_initial, gradBiasInitial=bias_initial, output=output,
              gradInput=x.grad, gradWeight=weight_initial + weight.grad, gradBias=bias_initial + bias.grad)
    if residual:
        case.keep(residual=addend, gradResidual=addend.grad)
    if operation == "batchnorm":
        case.keep(runningMeanAfter=wide(running_mean, mean_after),
                  runningVarianceAfter=wide(running_variance, variance_after))
    return case, distance


def one(name, shape, stored=None, operation="batchnorm", groups=1, relu=False, residual=False, mean=0.3,
        deviation=1.5, forward=1e-5, backward=1e-4, margin=1e-4):
    return first_clear(lambda attempt: build(f"{operation}_{name}", shape, stored or shape[1], operation, attempt,
                                             groups, relu, residual, mean, deviation, forward, backward), margin)


def batchnorm_cases():
    # A float32 near 100 has steps of 7.6e-6, so the mean alone costs 4e-5 of a deviation of 0.1.
    loose = {"mean": 100, "deviation": 0.1, "forward": 1e-4, "backward": 1e-3, "margin": 1e-3}
    evaluation = {"operation": "batchnorm_evaluation"}
    return [
        one("three_values", (3, 1, 1, 1)),
        one("plain", (2, 3, 7, 9)),
        one("vectors", (7, 17, 1, 1)),
        one("thin", (1, 5, 13, 5)),
        one("sliced", (2, 5, 7, 9), 8),
        one("relu", (3, 5, 7, 9), relu=True),
        one("relu_sliced", (2, 17, 7, 5), 24, relu=True),
        one("residual", (2, 3, 13, 5), residual=True),
        one("residual_relu", (2, 5, 7, 9), residual=True, relu=True),
        one("residual_relu_sliced", (2, 17, 5, 3), 32, residual=True, relu=True),
        one("tile", (2, 16, 8, 8), relu=True),
        one("residual_relu_tile", (2, 16, 8, 8), residual=True, relu=True),
        one("groups", (4, 5, 7, 3), groups=2),
        one("groups_relu_sliced", (6, 3, 5, 7), 5, groups=3, relu=True),
        one("groups_residual_relu_tile", (4, 16, 4, 4), 32, groups=4, relu=True, residual=True),
        one("many_positions", (4, 3, 17, 16), relu=True),
        one("large_mean", (2, 5, 7, 9), **loose),
        one("large_mean_relu_sliced", (3, 3, 13, 5), 5, relu=True, **loose),
        one("large_mean_groups", (4, 3, 8, 8), groups=2, residual=True, relu=True, **loose),
        one("plain", (2, 3, 7, 9), **evaluation),
        one("sliced_relu", (1, 5, 13, 5), 8, relu=True, **evaluation),
        one("residual_relu_sliced", (2, 17, 3, 5), 24, relu=True, residual=True, **evaluation),
        one("tile", (2, 16, 8, 8), relu=True, **evaluation),
    ]
