"""Detects with a detector's ONNX files, by docs/detection.md alone: numpy, ONNX Runtime, and what the files' metadata say.

    python3 tests/interop/detector_onnx_check.py --folder FOLDER --images images.safetensors --out found.safetensors

`--images` holds `images` f32 [N,3,H,W], normalised and padded, and `sizes` i32 [N,2], height and width of each without
padding. The output holds for each image `boxes0` [D,4], `scores0` [D], `labels0` [D] and, with masks, `masks0` [D,side,side].
"""
import argparse
import json
import math
import os
import sys

import numpy
import onnxruntime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import safetensors_io  # noqa: E402

f32 = numpy.float32


class Graph:
    """An ONNX file; called with its only input it gives its outputs by name."""

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.metadata = self.session.get_modelmeta().custom_metadata_map

    def __call__(self, value):
        return dict(zip(self.outputs, self.session.run(self.outputs, {self.input: value})))


def sigmoid(value):
    return 1 / (1 + numpy.exp(-value))


def softmax(logits):
    powers = numpy.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def anchors_of(rule, sizes, height, width, padded):
    """[height, width, anchors, 4]"""
    cells = []
    for ratio in rule["ratios"]:
        root = numpy.sqrt(f32(ratio))
        for size in sizes:
            half = numpy.array([f32(size) / root, f32(size) * root], f32) / 2
            cells.append([-half[0], -half[1], half[0], half[1]])
    cells = numpy.array(cells, f32)
    if rule["rounded"]:
        cells = numpy.rint(cells)
    rows, columns = numpy.arange(height) * (padded[0] // height), numpy.arange(width) * (padded[1] // width)
    y, x = numpy.meshgrid(rows, columns, indexing="ij")
    return (numpy.stack([x, y, x, y], -1)[:, :, None] + cells).astype(f32)


def decode(deltas, boxes, weights, most_growth, size):
    """Boxes clipped to an image; all [M, 4]."""
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, :2] + sides / 2 + deltas[:, :2] / f32(weights[:2]) * sides
    halves = numpy.exp(numpy.minimum(deltas[:, 2:] / f32(weights[2:]), f32(most_growth))) * sides / 2
    height, width = size
    return numpy.clip(numpy.concatenate([centres - halves, centres + halves], 1), 0, f32([width, height, width, height]))


def suppress(boxes, scores, groups, threshold):
    """Indices of what is kept in each group by itself, by descending score."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept = []
    for at in numpy.argsort(-scores, kind="stable"):
        others = [other for other in kept if groups[other] == groups[at]]
        corners = boxes[others]
        sides = numpy.minimum(corners[:, 2:], boxes[at, 2:]) - numpy.maximum(corners[:, :2], boxes[at, :2])
        shared = numpy.maximum(sides, 0).prod(1)
        if not (shared > f32(threshold) * (areas[others] + areas[at] - shared)).any():
            kept.append(at)
    return numpy.array(kept, int)


def sift(boxes, scores, groups, rule, most):
    """Indices of the best that are large enough, after suppression."""
    large = numpy.flatnonzero((boxes[:, 2:] - boxes[:, :2]).min(1) >= f32(rule["leastSide"]))
    return large[suppress(boxes[large], scores[large], groups[large], rule["nmsThreshold"])[:most]]


def propose(maps, image, size, padded, rules):
    rule, first = rules["proposals"], rules["levels"]["firstLevel"]
    boxes, scores, levels = [], [], []
    for at, sizes in enumerate(rules["anchors"]["sizes"]):
        objectness, deltas = maps[f"objectness{first + at}"][image], maps[f"deltas{first + at}"][image]
        count, height, width = objectness.shape
        logits = objectness.transpose(1, 2, 0).reshape(-1)
        best = numpy.argsort(-logits, kind="stable")[:rule["beforeNms"]]
        codes = deltas.reshape(count, 4, height, width).transpose(2, 3, 0, 1).reshape(-1, 4)[best]
        anchors = anchors_of(rules["anchors"], sizes, height, width, padded).reshape(-1, 4)[best]
        boxes.append(decode(codes, anchors, rule["weights"], rules["mostGrowth"], size))
        scores.append(sigmoid(logits[best]))
        levels.append(numpy.full(len(best), at))
    boxes, scores, levels = (numpy.concatenate(parts) for parts in (boxes, scores, levels))
    return boxes[sift(boxes, scores, levels, rule, rule["afterNms"])]


def samples(start, end, scale, length, pool):
    """The matrix [bins, length] of the means of a region's samples along one axis."""
    start, end = f32(start) * f32(scale), f32(end) * f32(scale)
    if pool["aligned"]:
        start, end = start - f32(0.5), end - f32(0.5)
    side = end - start if pool["aligned"] else max(end - start, f32(1))
    part = side / f32(pool["bins"])
    count = pool["samplingRatio"] or math.ceil(part)
    means = numpy.zeros((pool["bins"], length))
    for row in range(pool["bins"]):
        for sample in range(count):
            place = start + f32(row) * part + f32(sample + 0.5) * part / f32(count)
            if place < -1 or place > length:
                continue
            place = min(max(place, 0), length - 1)
            low = int(place)
            means[row, low] += (1 - (place - low)) / count
            if low + 1 < length:
                means[row, low + 1] += (place - low) / count
    return means


def pool_regions(maps, regions, sizes, pool, rule):
    """Regions of each image, one image after the other."""
    highest, pooled = max(height for height, _ in sizes), []
    for image, boxes in enumerate(regions):
        for x1, y1, x2, y2 in boxes:
            side = numpy.sqrt((x2 - x1) * (y2 - y1))
            exact = f32(rule["canonicalLevel"]) + numpy.log2(side / f32(rule["canonicalScale"])) + f32(1e-6)
            first = rule["firstLevel"]
            features = maps[f"p{int(min(max(math.floor(exact), first), first + rule['levels'] - 1))}"][image]
            _, height, width = features.shape
            scale = 2.0 ** round(math.log2(height / highest))
            rows, columns = samples(y1, y2, scale, height, pool), samples(x1, x2, scale, width, pool)
            pooled.append(rows @ features @ columns.T)
    return numpy.array(pooled, f32)


def detect(proposals, logits, deltas, size, rules):
    rule = rules["boxes"]
    scores = softmax(logits)
    regions, labels = numpy.nonzero(scores[:, 1:] > f32(rule["scoreThreshold"]))
    labels = labels + 1
    deltas = deltas.reshape(len(proposals), -1, 4)
    codes = deltas[regions, 0 if rule["agnostic"] else labels]
    boxes = decode(codes, proposals[regions], rule["weights"], rules["mostGrowth"], size)
    scores = scores[regions, labels]
    best = sift(boxes, scores, labels, rule, rule["most"])
    return {"boxes": boxes[best], "scores": scores[best], "labels": labels[best].astype(numpy.int32)}


def split(rows, lists):
    """Rows of all images as those of each."""
    return numpy.split(rows, numpy.cumsum([len(one) for one in lists])[:-1])


def main():
    parser = argparse.ArgumentParser()
    for name in ("folder", "images", "out"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    tensors, _ = safetensors_io.read(given.images)
    images, sizes = tensors["images"], tensors["sizes"].tolist()
    model, boxes = (Graph(f"{given.folder}/{name}.onnx") for name in ("model", "boxes"))
    rules = json.loads(model.metadata["postprocessing"])
    maps, padded = model(images), images.shape[2:]
    proposals = [propose(maps, image, size, padded, rules) for image, size in enumerate(sizes)]
    said = boxes(pool_regions(maps, proposals, sizes, rules["boxes"]["pool"], rules["levels"]))
    found = [detect(*one, rules) for one in zip(proposals, split(said["logits"], proposals),
                                                split(said["deltas"], proposals), sizes)]
    if "masks" in rules:
        regions = [one["boxes"] for one in found]
        masks = Graph(f"{given.folder}/masks.onnx")
        logits = masks(pool_regions(maps, regions, sizes, rules["masks"]["pool"], rules["levels"]))["logits"]
        for one, own in zip(found, split(logits, regions)):
            one["masks"] = sigmoid(own[numpy.arange(len(own)), one["labels"]])
    safetensors_io.write(given.out, {f"{name}{at}": value for at, one in enumerate(found) for name, value in one.items()})


if __name__ == "__main__":
    main()
