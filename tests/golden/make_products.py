"""Makes products.safetensors: matrix products, convolutions with a bias, and linear layers without one or sliced.

    python3 tests/golden/make_products.py [--check]

Inputs are float32; references are computed in float64 and stored as float32.
"""
import os

from cases import file_bytes, write_or_check
from product_cases import product_cases

if __name__ == "__main__":
    write_or_check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "products.safetensors"),
                   file_bytes(product_cases(), "Golden values of products and of layers with a bias; see README.md"))
