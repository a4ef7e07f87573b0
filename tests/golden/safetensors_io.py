"""Reads and writes safetensors files with numpy alone: the format is a length, a JSON header and the raw bytes."""
import json

import numpy

NUMPY_TYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U32": "<u4", "U8": "|u1"}
FORMAT_TYPES = {numpy.dtype(value): key for key, value in NUMPY_TYPES.items()}


def encode(tensors, metadata=None):
    """The bytes of a file that holds `tensors` (name to numpy array) and `metadata` (string to string)."""
    header, parts, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, value in tensors.items():
        value = numpy.asarray(value)
        # Not ascontiguousarray: it turns a scalar into a vector.
        data = value.tobytes()
        kind = FORMAT_TYPES[value.dtype.newbyteorder("<")]
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def write(path, tensors, metadata=None):
    """Writes `tensors` and `metadata` to `path`."""
    with open(path, "wb") as file:
        file.write(encode(tensors, metadata))


def read(path):
    """The pair (name to numpy array, metadata) of the file at `path`."""
    with open(path, "rb") as file:
        content = file.read()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        kind = numpy.dtype(NUMPY_TYPES[entry["dtype"]])
        tensors[name] = numpy.frombuffer(content[start + begin:start + end], kind).reshape(entry["shape"])
    return tensors, metadata
