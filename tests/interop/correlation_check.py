"""Recomputes the coefficients in a correlation.json and prints the largest difference.

    python3 tests/interop/correlation_check.py correlation.json [--numpy]

Spearman, Kendall (tau-b) and Pearson of each score and rival with the first downstream result, and Spearman within the groups
of MACs, by scipy.stats; where scipy is missing, or with --numpy, by the definitions, pair by pair. Prints
{"by": "scipy" | "numpy", "coefficients": number of those that exist, "largest": difference} as JSON.
"""
import json
import sys
import warnings

import numpy

try:
    from scipy import stats
except ImportError:
    stats = None


def covary(a, b):
    """Sum of the products of two antisymmetric matrices of pairs over the root of their sums of squares."""
    product = ((a**2).sum() * (b**2).sum()) ** 0.5
    return (a * b).sum() / product if product > 0 else numpy.nan


def differences(values):
    return values[:, None] - values[None, :]


def ranks(values):
    """The mean of the ranks that equal values would share."""
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return below + (equal + 1) / 2


def by_definition(name, a, b):
    """Each coefficient is a covariance over pairs: of values, of ranks, of signs (Kendall 1948)."""
    of = {
        "pearson": differences,
        "spearman": lambda values: differences(ranks(values)),
        "kendall": lambda values: numpy.sign(differences(values)),
    }[name]
    return covary(of(a), of(b))


def by_scipy(name, a, b):
    function = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[name]
    return function(a, b)[0]


def main():
    path, *options = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    use_scipy = stats is not None and "--numpy" not in options
    coefficient = by_scipy if use_scipy else by_definition
    subnets = content["subnets"]
    actual = numpy.array([subnet["downstream"][0] for subnet in subnets])
    macs = numpy.array([subnet["macs"] for subnet in subnets])
    pairs = []
    for row in content["correlations"]:
        metric = row["metric"]
        predicted = numpy.array(
            [subnet["scores"][metric] if row["kind"] == "score" else subnet[metric] for subnet in subnets], float)
        pairs += [(row[name], coefficient(name, predicted, actual)) for name in ("spearman", "kendall", "pearson")]
        for group in row["withinGroups"]:
            inside = (macs >= group["from"]) & (macs < group["to"])
            if inside.sum() > 1:
                pairs.append((group["spearman"], coefficient("spearman", predicted[inside], actual[inside])))
    largest = 0.0
    for ours, theirs in pairs:
        if ours is None or numpy.isnan(theirs):
            # Both have none, or they differ for good.
            largest = max(largest, 0.0 if ours is None and numpy.isnan(theirs) else numpy.inf)
        else:
            largest = max(largest, abs(ours - theirs))
    print(json.dumps({
        "by": "scipy" if use_scipy else "numpy",
        "coefficients": sum(ours is not None for ours, _ in pairs),
        "largest": None if numpy.isinf(largest) else largest,
    }))


with warnings.catch_warnings():
    # Constant columns have no coefficient, of which scipy warns.
    warnings.simplefilter("ignore")
    main()
