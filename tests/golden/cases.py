"""What the golden-value scripts share: seeded float32 inputs, float64 references, and the list of cases."""
import json
import sys
import zlib

import numpy
import torch

import safetensors_io

# One thread: the order of every sum, and so every bit of the files, is the same each time.
torch.set_num_threads(1)

FORWARD, BACKWARD = 1e-5, 1e-4
# The type that references are computed in; verify.py sets float32, to learn what single precision can reach.
REFERENCE = torch.float64


class Case:
    """One case: its tensors (stored under `<case>.<tensor>`), its parameters and its tolerances. `special` puts numbers
    into inputs: {tensor: [(index, value)...]}, the index as PyTorch takes it."""

    def __init__(self, name, operation, attempt=0, forward=FORWARD, backward=BACKWARD, special=None, **parameters):
        self.name, self.operation, self.parameters = name, operation, parameters
        self.special = special or {}
        self.tolerance = {"forward": forward, "backward": backward}
        self.tensors = {}
        # Seeded by the name: adding a case changes no other. RandomState's streams never change between versions.
        self.random = numpy.random.RandomState([zlib.crc32(name.encode()), attempt])

    def normal(self, *shape, mean=0.0, deviation=1.0):
        """Normal numbers rounded to float32, as a tensor of the reference type."""
        return exact(mean + deviation * self.random.standard_normal(shape))

    def uniform(self, *shape, low=0.0, high=1.0):
        """Uniform numbers rounded to float32, as a tensor of the reference type."""
        return exact(self.random.uniform(low, high, shape))

    def take(self, name, tensor):
        """Stores an input, the case's special numbers put in, and returns it as a leaf."""
        tensor = tensor.clone()
        for index, value in self.special.get(name, ()):
            tensor[index] = value
        self.keep_named({name: tensor})
        return leaf(tensor)

    def keep(self, **tensors):
        """Stores tensors: floating ones as float32, integers as int32, bytes as they are."""
        self.keep_named(tensors)

    def keep_named(self, tensors):
        """Like `keep`, for names that are not Python identifiers."""
        for name, value in tensors.items():
            self.tensors[name] = stored(value)


def exact(array):
    """A tensor of float32 values in the reference type: reference and tested code start from the same numbers."""
    return torch.from_numpy(numpy.asarray(array, numpy.float32)).to(REFERENCE)


def stored(value):
    """The numpy array that goes into the file."""
    array = value.detach().numpy() if isinstance(value, torch.Tensor) else numpy.asarray(value)
    if array.dtype == numpy.uint8:
        return array
    return array.astype(numpy.float32 if array.dtype.kind == "f" else numpy.int32)


def leaf(tensor):
    """A copy that collects a gradient."""
    return tensor.clone().requires_grad_(True)


def first_clear(build, margin, attempts=400):
    """The first case of `build(attempt)` whose second result, the distance to the nearest kink (a ReLU's zero, a
    tie in a maximum), exceeds `margin`: rounding must not decide which way the gradient goes."""
    for attempt in range(attempts):
        case, distance = build(attempt)
        if distance > margin:
            return case
    raise RuntimeError(f"no seed of {attempts} keeps {case.name} {margin} away from a kink")


def file_bytes(cases, about):
    """The bytes of a golden file that holds `cases`."""
    tensors = {f"{case.name}.{name}": value for case in cases for name, value in case.tensors.items()}
    listing = [{"name": case.name, "operation": case.operation, "parameters": case.parameters,
                "tensors": list(case.tensors), "tolerance": case.tolerance} for case in cases]
    if len({case.name for case in cases}) != len(cases):
        raise RuntimeError("two cases share a name")
    return safetensors_io.encode(tensors, {"about": about, "cases": json.dumps(listing)})


def write_or_check(path, content):
    """Writes `content`, or with `--check` on the command line only says whether the file holds exactly that."""
    if "--check" in sys.argv[1:]:
        with open(path, "rb") as file:
            same = file.read() == content
        print(f"{path}: {'identical' if same else 'DIFFERENT'}")
        if not same:
            sys.exit(1)
    else:
        with open(path, "wb") as file:
            file.write(content)
        print(f"{path}: {len(content)} bytes")
