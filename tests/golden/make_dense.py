"""Makes dense.safetensors: operations of dense prediction, from PyTorch and torchvision.

    python3 tests/golden/make_dense.py [--check]

Inputs are float32; references are computed in float64 and stored as float32. The same in float32 must have NaN and the
infinities at the same places, and need at most half of each tolerance.
"""
import os

import numpy
import torch

import cases
from dense_cases import dense_cases
from make_nonfinite import finite_as_zero

FOLDER = os.path.dirname(os.path.abspath(__file__))


def checked_cases():
    """All cases. Fails where single precision says something else."""
    found = dense_cases()
    cases.REFERENCE = torch.float32
    single = dense_cases()
    cases.REFERENCE = torch.float64
    for one, other in zip(found, single):
        for name, value in one.tensors.items():
            if not numpy.array_equal(finite_as_zero(value), finite_as_zero(other.tensors[name]), equal_nan=True):
                raise RuntimeError(f"{one.name}.{name}: NaN or infinity at other places in float32")
            ordinary = numpy.isfinite(value)
            limit = one.tolerance["backward" if name.startswith("grad") else "forward"] / 2
            value, single_value = value[ordinary], other.tensors[name][ordinary]
            error = numpy.abs(value - single_value.astype(float)).max(initial=0)
            if error > limit * numpy.abs(value).max(initial=0):
                raise RuntimeError(f"{one.name}.{name}: {error} off in float32")
    return found


if __name__ == "__main__":
    cases.write_or_check(os.path.join(FOLDER, "dense.safetensors"),
                         cases.file_bytes(checked_cases(), "Golden values of dense prediction's operations; see README.md"))
