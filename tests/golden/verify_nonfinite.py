"""Checks nonfinite.safetensors against the operations' formulas in plain numpy: NaN and infinities must stand at the places
that IEEE arithmetic gives them. Prints what differs; exit status 1 on a fault.

    python3 tests/golden/verify_nonfinite.py
"""
import json
import os
import sys

import numpy

import safetensors_io

FOLDER = os.path.dirname(os.path.abspath(__file__))


def product(a, b):
    """a b of matrices, every term multiplied and added: a library's product may treat special numbers as it likes."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def with_bias(outputs, t, gradient, axes):
    """What the bias adds, and its gradient."""
    if "bias" not in t:
        return 0, {}
    grad_bias = t["gradBiasInitial"].copy()
    grad_bias[:outputs] += gradient.sum(axes)
    return t["bias"][:outputs], {"gradBias": grad_bias}


def convolution(chosen, t):
    """The zeros of the padding are numbers like any other; the gradient they get is cut off."""
    above, left = [chosen["padding"]] * 2 if isinstance(chosen["padding"], int) else chosen["padding"]
    x = numpy.pad(t["input"], ((0, 0), (0, 0), (above, above), (left, left)))
    gradient, outputs = t["gradOutput"], chosen["outChannels"]
    weight = t["weight"][:outputs, :chosen["inChannels"]]
    output, grad_x, grad_weight = numpy.zeros(gradient.shape), numpy.zeros(x.shape), t["gradWeightInitial"].copy()
    for n, o, i, j in numpy.ndindex(*gradient.shape):
        for c, u, v in numpy.ndindex(*weight.shape[1:]):
            at = n, c, i * chosen["stride"] + u * chosen["dilation"], j * chosen["stride"] + v * chosen["dilation"]
            output[n, o, i, j] += weight[o, c, u, v] * x[at]
            grad_x[at] += weight[o, c, u, v] * gradient[n, o, i, j]
            grad_weight[o, c, u, v] += gradient[n, o, i, j] * x[at]
    bias, more = with_bias(outputs, t, gradient, (0, 2, 3))
    height, width = t["input"].shape[2:]
    return {"output": output + numpy.reshape(bias, (1, -1, 1, 1)), "gradWeight": grad_weight,
            "gradInput": grad_x[:, :, above:above + height, left:left + width], **more}


def linear(chosen, t):
    inputs, outputs = chosen["inFeatures"], chosen.get("outFeatures", len(t["weight"]))
    weight, grad_weight = t["weight"][:outputs, :inputs], t["gradWeightInitial"].copy()
    grad_weight[:outputs, :inputs] += product(t["gradOutput"].T, t["input"])
    bias, more = with_bias(outputs, t, t["gradOutput"], 0)
    return {"output": product(t["input"], weight.T) + bias, "gradInput": product(t["gradOutput"], weight),
            "gradWeight": grad_weight, **more}


def matmul(chosen, t):
    def turned(matrix, name):
        return matrix.swapaxes(-1, -2) if chosen[name] else matrix
    a, b = turned(t["a"], "transposeA"), turned(t["b"], "transposeB")
    return {"output": product(a, b),
            "gradA": turned(product(t["gradOutput"], b.swapaxes(-1, -2)), "transposeA"),
            "gradB": turned(product(a.swapaxes(-1, -2), t["gradOutput"]), "transposeB")}


def batchnorm(chosen, t, training=True):
    x, groups = t["input"], chosen["groups"] if training else 1
    gradient = numpy.where(t["output"] == 0, 0, t["gradOutput"]) if chosen["relu"] else t["gradOutput"]
    output, grad_x, size = numpy.zeros(x.shape), numpy.zeros(x.shape), len(x) // groups
    grad_weight, grad_bias = t["gradWeightInitial"].copy(), t["gradBiasInitial"].copy()
    after = {"runningMeanAfter": t["runningMean"].copy(), "runningVarianceAfter": t["runningVariance"].copy()}
    for c in range(x.shape[1]):
        means, variances = [], []
        for group in range(groups):
            rows = slice(group * size, (group + 1) * size)
            values, g = x[rows, c], gradient[rows, c]
            mean = values.sum() / values.size if training else t["runningMean"][c]
            variance = ((values - mean) ** 2).sum() / values.size if training else t["runningVariance"][c]
            inverse = 1 / numpy.sqrt(variance + chosen["epsilon"])
            normal = (values - mean) * inverse
            output[rows, c] = normal * t["weight"][c] + t["bias"][c]
            grad_weight[c] += (g * normal).sum()
            grad_bias[c] += g.sum()
            centred = g - g.mean() - normal * (g * normal).mean() if training else g
            grad_x[rows, c] = t["weight"][c] * inverse * centred
            means.append(mean)
            variances.append(variance * values.size / (values.size - 1))
        for name, values in (("runningMeanAfter", means), ("runningVarianceAfter", variances)):
            after[name][c] = 0.9 * after[name][c] + 0.1 * sum(values) / groups
    found = {"gradInput": grad_x, "gradWeight": grad_weight, "gradBias": grad_bias, **(after if training else {})}
    if chosen["residual"]:
        output += t["residual"]
        found["gradResidual"] = gradient
    return {"output": numpy.where(output <= 0, 0, output) if chosen["relu"] else output, **found}


def l2_normalise(chosen, t):
    length = numpy.sqrt((t["input"] ** 2).sum(1, keepdims=True))
    unit, gradient = t["input"] / length, t["gradOutput"]
    return {"output": unit, "gradInput": (gradient - unit * (unit * gradient).sum(1, keepdims=True)) / length}


def softmax(logits, labels):
    """Mean cross-entropy and its gradient."""
    largest, rows = logits.max(1, keepdims=True), range(len(logits))
    powers = numpy.exp(logits - largest)
    sums = powers.sum(1, keepdims=True)
    loss = (largest + numpy.log(sums))[:, 0] - logits[rows, labels]
    return loss.mean(), (powers / sums - numpy.eye(logits.shape[1])[labels]) / len(logits)


def cross_entropy(chosen, t):
    loss, gradient = softmax(t["logits"], t["labels"].astype(int))
    return {"loss": loss, "gradLogits": gradient}


def info_nce(chosen, t):
    query, keys, queue = t["normalisedQuery"], t["keys"], t["queue"]
    logits = numpy.concatenate([(query * keys).sum(1, keepdims=True), product(query, queue.T)], 1) / chosen["temperature"]
    loss, gradient = softmax(logits, numpy.zeros(len(logits), int))
    found = {"loss": loss,
             "gradNormalisedQuery": (gradient[:, :1] * keys + product(gradient[:, 1:], queue)) / chosen["temperature"]}
    if "query" in t:
        through = l2_normalise(chosen, {"input": t["query"], "gradOutput": found["gradNormalisedQuery"]})
        found.update(normalisedQuery=through["output"], gradQuery=through["gradInput"])
    return found


def global_average_pool(chosen, t):
    share = t["gradOutput"][:, :, None, None] / t["input"][0, 0].size
    return {"output": t["input"].sum((2, 3)) / t["input"][0, 0].size,
            "gradInput": numpy.broadcast_to(share, t["input"].shape)}


FORMULAS = {"convolution": convolution, "linear": linear, "matmul": matmul, "batchnorm": batchnorm,
            "batchnorm_evaluation": lambda chosen, t: batchnorm(chosen, t, training=False),
            "l2_normalise": l2_normalise, "cross_entropy": cross_entropy, "info_nce": info_nce,
            "global_average_pool": global_average_pool}


def agrees(found, expected):
    """The same where either is not finite; nearly the same elsewhere."""
    ordinary = numpy.isfinite(found) & numpy.isfinite(expected)
    return numpy.array_equal(numpy.where(ordinary, 0, found), numpy.where(ordinary, 0, expected),
                             equal_nan=True) and \
        numpy.allclose(numpy.where(ordinary, found, 0), numpy.where(ordinary, expected, 0), 1e-4, 1e-5)


def main():
    numpy.seterr(all="ignore")
    tensors, metadata = safetensors_io.read(os.path.join(FOLDER, "nonfinite.safetensors"))
    checked = faults = 0
    for case in json.loads(metadata["cases"]):
        if case["operation"] not in FORMULAS:
            continue
        values = {name: tensors[f"{case['name']}.{name}"].astype(float) for name in case["tensors"]}
        for name, found in FORMULAS[case["operation"]](case["parameters"], values).items():
            checked += 1
            if not agrees(found, values[name]):
                faults += 1
                print(f"FAULT {case['name']}.{name}: not what the formula gives")
    print(f"{checked} tensors, {faults} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
