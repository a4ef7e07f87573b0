"""Makes dense.safetensors: operations of dense prediction, from PyTorch and torchvision.

    python3 tests/golden/make_dense.py [--check]

Inputs are float32; references are computed in float64 and stored as float32.
"""
import os

from cases import file_bytes, write_or_check
from dense_cases import dense_cases

if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "dense.safetensors"),
                   file_bytes(dense_cases(), "Golden values of dense prediction's operations; see README.md"))
