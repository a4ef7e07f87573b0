"""Makes linear.safetensors: multinomial logistic regression with L2 regularisation, minimised by PyTorch's LBFGS in float64.

    python3 tests/golden/make_linear.py [--check]

Features are float32 numbers, the minima are computed in float64 from exactly these and stored as float32.
"""
import json
import os

import numpy
import torch

from cases import write_or_check
from safetensors_io import encode

CASES = [  # name, rows, dimension, classes, regularisation
    ("tall", 97, 5, 3, 1e-2),
    ("wide", 23, 40, 4, 1e-3),
    ("weak", 150, 8, 5, 1e-5),
    ("pair", 40, 3, 2, 1.0),
]


def minimum(features, labels, classes, regularisation):
    """Weights [dimension + 1, classes], the bias last, and the least loss."""
    rows, dimension = features.shape
    values = torch.tensor(features, dtype=torch.float64)
    weights = torch.zeros(dimension + 1, classes, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weights], max_iter=20000, max_eval=40000, tolerance_grad=1e-11, tolerance_change=0,
                               history_size=50, line_search_fn="strong_wolfe")

    def loss():
        logits = values @ weights[:-1] + weights[-1]
        entropy = torch.nn.functional.cross_entropy(logits, torch.tensor(labels, dtype=torch.int64))
        return entropy + regularisation / 2 * (weights[:-1] ** 2).sum()

    def closure():
        solver.zero_grad()
        value = loss()
        value.backward()
        return value

    solver.step(closure)
    closure()
    assert weights.grad.abs().max() < 1e-9, (rows, float(weights.grad.abs().max()))
    return weights.detach().numpy(), float(loss())


def make():
    """The bytes of the file."""
    tensors, cases = {}, []
    for seed, (name, rows, dimension, classes, regularisation) in enumerate(CASES):
        random = numpy.random.default_rng(seed)
        labels = numpy.arange(rows) % classes
        centres = random.normal(size=(classes, dimension))
        features = (0.7 * centres[labels] + random.normal(size=(rows, dimension))).astype("<f4")
        weights, loss = minimum(features, labels, classes, regularisation)
        tensors[f"{name}.features"] = features
        tensors[f"{name}.labels"] = labels.astype("<i4")
        tensors[f"{name}.weights"] = weights.astype("<f4")
        cases.append({"name": name, "classes": classes, "regularisation": regularisation, "loss": loss})
    return encode(tensors, {"about": "Minima of logistic regression; see README.md", "cases": json.dumps(cases)})


if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "linear.safetensors"), make())
