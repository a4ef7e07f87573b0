"""Makes nonfinite.safetensors: every operation with NaN or an infinity among its numbers.

    python3 tests/golden/make_nonfinite.py [--check]

Inputs are float32; references are computed in float64 and stored as float32. The same in float32 must have NaN and the
infinities at the same places.
"""
import os

import numpy
import torch

import cases
from nonfinite_cases import nonfinite_cases

FOLDER = os.path.dirname(os.path.abspath(__file__))


def finite_as_zero(values):
    """What is not finite, in its place; 0 for the rest."""
    return numpy.where(numpy.isfinite(values), 0, values)


def checked_cases():
    """All cases. Fails where single precision has NaN or an infinity at other places, or a case has none at all."""
    found = nonfinite_cases()
    cases.REFERENCE = torch.float32
    single = nonfinite_cases()
    cases.REFERENCE = torch.float64
    for one, other in zip(found, single):
        for name, value in one.tensors.items():
            if not numpy.array_equal(finite_as_zero(value), finite_as_zero(other.tensors[name]), equal_nan=True):
                raise RuntimeError(f"{one.name}.{name}: NaN or infinity at other places in float32")
        if all(numpy.isfinite(value).all() for value in one.tensors.values()):
            raise RuntimeError(f"{one.name}: all numbers are finite")
    return found


if __name__ == "__main__":
    cases.write_or_check(os.path.join(FOLDER, "nonfinite.safetensors"),
                         cases.file_bytes(checked_cases(), "Golden values with NaN and infinity; see README.md"))
