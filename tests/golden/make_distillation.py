"""Makes distillation.safetensors: the loss of learning from a teacher's features, from PyTorch.

    python3 tests/golden/make_distillation.py [--check]

Inputs are float32; references are computed in float64 and stored as float32.
"""
import os

import torch
import torch.nn.functional as F

from cases import Case, exact, file_bytes, write_or_check

NAN, INFINITY = float("nan"), float("inf")


def cosine_loss(name, rows, dimension, near=0.0, size=1.0, **special):
    """`near`: how much the input already points along the directions; `size`: of the input's rows."""
    case = Case(f"cosine_loss_{name}", "cosine_loss", special=special)
    # Directions are rounded to float32 after their normalisation, as they are when the loss reads them.
    directions = exact(F.normalize(case.normal(rows, dimension), dim=1))
    values = exact(size * (near * directions + case.normal(rows, dimension, deviation=dimension ** -0.5)))
    x, directions = case.take("input", values), case.take("directions", directions).detach()
    loss = (1 - F.cosine_similarity(x, directions, dim=1)).mean()
    loss.backward()
    case.keep(loss=loss, gradInput=x.grad)
    return case


if __name__ == "__main__":
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "distillation.safetensors")
    write_or_check(path, file_bytes([
        cosine_loss("one", 1, 3),
        cosine_loss("odd", 5, 17),
        cosine_loss("wide", 3, 386, near=1.0),
        cosine_loss("tile", 16, 64),
        cosine_loss("opposite", 7, 5, near=-2.0),
        cosine_loss("long_rows", 4, 33, near=0.5, size=1000.0),
        cosine_loss("short_rows", 4, 33, near=0.5, size=0.001),
        cosine_loss("nan_input", 3, 5, input=[((1, 2), NAN)]),
        cosine_loss("nan_direction", 3, 5, directions=[((2, 0), NAN)]),
        cosine_loss("infinite_input", 3, 5, input=[((0, 4), INFINITY)]),
    ], "The distance to a teacher's features; see README.md"))
