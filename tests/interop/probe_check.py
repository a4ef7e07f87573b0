"""Recomputes the accuracy of kNN and of a linear probe from files that embed wrote, with numpy alone.

    python3 tests/interop/probe_check.py --bank train.npz --queries test.safetensors \
        --neighbours 20 --temperature 0.1 --regularisation 0.001

Prints {"knn": accuracy, "linear": accuracy, "gradient": …} as JSON. kNN: the most similar rows by cosine vote for their class
with exp(cosine / temperature). Linear: multinomial logistic regression on features standardised by the bank, mean
cross-entropy + regularisation / 2 * sum of the squared weights (the bias left out), by accelerated gradient descent until the
gradient is below 1e-6 or 20 000 steps are done.
"""
import argparse
import json
import os
import sys

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import safetensors_io  # noqa: E402


def read(path):
    """Features and labels of a file, in float64."""
    tensors = numpy.load(path) if path.endswith(".npz") else safetensors_io.read(path)[0]
    return tensors["features"].astype(numpy.float64), tensors["labels"].astype(int)


def knn(bank, labels, queries, neighbours, temperature):
    """The class that each query's neighbours vote for."""
    unit = [rows / numpy.maximum(numpy.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in (bank, queries)]
    similarity = unit[1] @ unit[0].T
    nearest = numpy.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
    votes = numpy.zeros((len(queries), labels.max() + 1))
    for row, places in enumerate(nearest):
        numpy.add.at(votes[row], labels[places], numpy.exp(similarity[row, places] / temperature))
    return votes.argmax(axis=1)


def linear(bank, labels, queries, regularisation):
    """The class that the regression gives each query, and the largest value in the last gradient."""
    mean, deviation = bank.mean(axis=0), bank.std(axis=0)
    scale = numpy.divide(1, deviation, out=numpy.zeros_like(deviation), where=deviation > 1e-12 * abs(mean))
    train, test = (
        numpy.column_stack([(rows - mean) * scale, numpy.ones(len(rows))]) for rows in (bank, queries)
    )
    wanted = numpy.eye(labels.max() + 1)[labels]
    decay = numpy.full((train.shape[1], 1), regularisation)
    decay[-1] = 0
    # No step can be too long: the curvature is below this.
    curvature = numpy.linalg.eigvalsh(train.T @ train / len(train))[-1] / 2 + regularisation
    weights = numpy.zeros((train.shape[1], wanted.shape[1]))
    before, momentum = weights, 1.0
    for _ in range(20_000):
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = weights + (momentum - 1) / following * (weights - before)
        logits = train @ ahead
        shares = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        gradient = train.T @ (shares - wanted) / len(train) + decay * ahead
        before, weights, momentum = weights, ahead - gradient / curvature, following
        if abs(gradient).max() < 1e-6:
            break
    return (test @ weights).argmax(axis=1), abs(gradient).max()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", required=True)
    parser.add_argument("--queries", required=True)
    parser.add_argument("--neighbours", type=int, default=200)
    parser.add_argument("--temperature", type=float, default=0.1)
    parser.add_argument("--regularisation", type=float, default=1e-3)
    given = parser.parse_args()
    bank, labels = read(given.bank)
    queries, expected = read(given.queries)
    by_knn = knn(bank, labels, queries, given.neighbours, given.temperature)
    by_linear, gradient = linear(bank, labels, queries, given.regularisation)
    print(json.dumps({
        "knn": float((by_knn == expected).mean()),
        "linear": float((by_linear == expected).mean()),
        "gradient": float(gradient),
    }))


main()
