"""Makes step_*.safetensors: two consecutive pretraining steps of tiny spaces, from a self-made initial state.

    python3 tests/golden/make_steps.py [--check]
"""
import json
import os

import numpy
import torch

import exact_step
import safetensors_io
from cases import write_or_check

SINGLE = {"block": "basic", "stem": {"kind": "3x3", "widths": [4]}, "widths": [[4], [4], [6], [6]],
          "depths": [[1], [1], [1], [1]], "strides": [1, 2, 2, 2], "named": {}}
PAIR = {**SINGLE, "widths": [[4], [4], [6], [6, 8]]}
WIDE = {**SINGLE, "widths": [[4], [4], [6, 8], [6, 8]]}
BOTTLENECK = {"block": "bottleneck", "stem": {"kind": "7x7", "widths": [3, 4]}, "widths": [[2], [2, 3], [3], [3, 4]],
              "depths": [[1], [1, 2], [1], [1]], "strides": [1, 2, 2, 2], "named": {}}

# Name, first seed to try (those before do not suit), space, head, image size, batchnorm groups, passes of each step,
# whether the state is that of a running training, weight of the self-distillation, teacher: weights of both terms, and the
# dimension of its features, absent where the network that the run began with is the teacher.
STEPS = [
    ("step_single", 1, SINGLE, "linear", 12, 1, [["max"], ["max"]], False),
    ("step_pair", 0, PAIR, "mlp", 12, 1, [["max", "min"], ["max", "min"]], False),
    ("step_groups", 0, PAIR, "mlp", 12, 2, [["max", "min"], ["max", "min"]], True),
    ("step_bottleneck", 588, BOTTLENECK, "mlp", 33, 1,
     [["max", "min", "3-2.3.3.3-1.1.1.1"], ["max", "min", "4-2.2.3.4-1.2.1.1"]], True),
    ("step_distillation", 0, WIDE, "mlp", 12, 1, [["max", "min", "4-4.4.6.8-1.1.1.1"], ["max", "min", "4-4.4.8.6-1.1.1.1"]], True, 0.7),
    ("step_teacher", 0, WIDE, "linear", 12, 1,
     [["max", "min", "4-4.4.6.8-1.1.1.1"], ["max", "min", "4-4.4.8.6-1.1.1.1"]], True, 0,
     {"weight": 0.8, "moco": 0, "dimension": 11}),
    ("step_teacher_moco", 0, WIDE, "mlp", 12, 2, [["max", "min"], ["max", "min"]], True, 0.7,
     {"weight": 1.5, "moco": 0.4, "dimension": 11}),
    ("step_teacher_self", 0, WIDE, "linear", 12, 2, [["max", "min"], ["max", "4-4.4.8.6-1.1.1.1"]], True, 0,
     {"weight": 1, "moco": 0}),
]
BATCH, QUEUE, DIMENSION, HIDDEN = 8, 24, 8, 10


def configuration(space, head, size, groups, passes, distillation, teacher=None):
    """The whole configuration of a run that makes these steps, as a run folder holds it."""
    extra = {"selfDistillation": distillation} if distillation else {}
    taught = {}
    if teacher:
        spec = "features:features.safetensors" if "dimension" in teacher else "self"
        taught = {"distillation": {"teacher": spec, **teacher}}
    return {
        "space": space,
        "data": {"source": "tensor:images.safetensors", "heldOut": 0, "imageSize": size},
        "augmentation": "none",
        "head": {"kind": head, "hidden": HIDDEN, "dimension": DIMENSION},
        "moco": {"queue": QUEUE, "momentum": 0.9, "temperature": 0.2, "teacher": "largest", "batchnormGroups": groups,
                 "shuffle": False, **extra},
        **taught,
        "sandwich": {"largest": True, "smallest": True, "random": len(passes[0][2:])},
        "optimizer": {"learningRate": 0.1, "momentum": 0.9, "weightDecay": 0.01, "schedule": "cosine",
                      "warmupEpochs": 0},
        "training": {"epochs": 4, "batch": BATCH, "lastBatch": "drop", "seed": 1},
        "knn": {"every": 0},
    }


def shapes(space, head, teacher=None):
    """Names and shapes of an encoder's parameters and buffers, at full width, in torchvision's order."""
    found = {}

    def convolution(name, norm, outputs, inputs, kernel):
        found[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        for each in ("weight", "bias", *exact_step.BUFFERS):
            found[f"{norm}.{each}"] = (outputs,)

    stem, widths, depths = space.architecture("max")
    convolution("conv1", "bn1", stem, 3, int(space.stem["kind"][0]))
    inputs = stem
    for stage, (width, depth) in enumerate(zip(widths, depths)):
        outputs = width * space.expansion
        for index in range(depth):
            name = f"layer{stage + 1}.{index}"
            plan = [(inputs, width, 3), (width, width, 3)] if space.block == "basic" else [
                (inputs, width, 1), (width, width, 3), (width, outputs, 1)]
            for number, (before, after, kernel) in enumerate(plan, 1):
                convolution(f"{name}.conv{number}", f"{name}.bn{number}", after, before, kernel)
            if index == 0 and space.has_downsample(stage):
                convolution(f"{name}.downsample.0", f"{name}.downsample.1", outputs, inputs, 1)
            inputs = outputs
    layers = [("fc", DIMENSION, inputs)] if head == "linear" else [
        ("fc.0", HIDDEN, inputs), ("fc.2", DIMENSION, HIDDEN)]
    if teacher:
        layers = (layers if teacher["moco"] else []) + [("distillation", teacher.get("dimension", inputs), inputs)]
    for name, after, before in layers:
        found[f"{name}.weight"], found[f"{name}.bias"] = (after, before), (after,)
    return found


def draw(random, name, shape, running):
    """One parameter or buffer. Kaiming-normal convolutions; batchnorm's weights and biases are varied, the last of a
    branch too, so that no gradient vanishes as it would from the usual 1 and 0."""
    if name.endswith("running_mean"):
        return random.normal(0, 0.2, shape) if running else numpy.zeros(shape)
    if name.endswith("running_var"):
        return random.uniform(0.5, 1.5, shape) if running else numpy.ones(shape)
    if len(shape) > 1:
        return random.normal(0, (2 / numpy.prod(shape[1:])) ** 0.5, shape)
    if name.endswith("weight"):
        return random.uniform(0.5, 1.5, shape)
    return random.normal(0, 0.2, shape)


def initial_state(definition, head, size, running, seed, teacher=None):
    """A state as a checkpoint holds it, and images. `running`: the key encoder differs from the query encoder, the
    momentum is not zero and the queue's next write wraps around in the second step."""
    random = numpy.random.RandomState(seed)
    wanted = shapes(exact_step.Space(definition), head, teacher)
    query = {name: draw(random, name, shape, running) for name, shape in wanted.items()}
    key = {name: draw(random, name, shape, running) for name, shape in wanted.items()} if running else query
    state = {f"encoder_q.{name}": value for name, value in query.items()}
    state.update({f"encoder_k.{name}": value for name, value in key.items()})
    rows = random.normal(size=(QUEUE, DIMENSION))
    state["queue"] = rows / numpy.linalg.norm(rows, axis=1, keepdims=True)
    for name, shape in wanted.items():
        if not name.endswith(exact_step.BUFFERS):
            state[f"optimizer.momentum.encoder_q.{name}"] = random.normal(0, 0.05, shape) * running
    state = {name: value.astype(numpy.float32) for name, value in state.items()}
    state["queue_pointer"] = numpy.array([QUEUE - BATCH if running else 0], numpy.int32)
    if teacher and not teacher["moco"]:
        del state["queue"], state["queue_pointer"]
    images = random.normal(size=(BATCH, 3, size, size)).astype(numpy.float32)
    order = random.permutation(BATCH).astype(numpy.int32)
    if not teacher:
        return state, images, order, None
    if "dimension" in teacher:
        return state, images, order, random.normal(size=(BATCH, teacher["dimension"])).astype(numpy.float32)
    for name, shape in wanted.items():
        if not name.startswith("distillation") and not name.endswith(exact_step.BUFFERS):
            state[f"teacher.{name}"] = draw(random, name, shape, running).astype(numpy.float32)
    return state, images, order, None


def two_steps(definition, head, size, groups, passes, running, *rest, kind=torch.float64):
    """The tensors and metadata of one golden file, and the distance to the nearest kink."""
    *extra, seed = rest
    distillation, teacher = [*extra, *[0, None][len(extra):]]
    initial, images, order, targets = initial_state(definition, head, size, running, seed, teacher)
    tensors = {"images": images, "order": order, **{f"initial.{each}": value for each, value in initial.items()}}
    if targets is not None:
        tensors["targets"] = targets
    config = configuration(definition, head, size, groups, passes, distillation, teacher)
    settings = exact_step.settings_of(config)
    state = exact_step.load_state(initial, kind)
    batch = torch.from_numpy(images[order]).to(kind)
    taught = None if targets is None else torch.from_numpy(targets[order]).to(kind)
    kinks, losses = [], []
    for number, architectures in enumerate(passes):
        losses.append(exact_step.step(state, batch, exact_step.Space(definition), architectures, settings, number,
                                      kinks=kinks, targets=taught))
        saved = exact_step.save_state(state)
        tensors.update({f"step{number + 1}.{each}": value for each, value in saved.items()})
        tensors[f"step{number + 1}.losses"] = numpy.array(losses[-1], numpy.float32)
    metadata = {"about": "Two exact pretraining steps; see README.md", "config": json.dumps(config),
                "architectures": json.dumps(passes), "losses": json.dumps(losses),
                "seed": str(seed)}
    return tensors, metadata, min(kinks)


def largest_error(found, expected):
    """The largest max|found - expected| / max|expected| of the floating tensors, and its tensor's name."""
    return max((float(numpy.abs(found[name] - value).max() / numpy.abs(value).max()), name)
               for name, value in expected.items() if value.dtype.kind == "f" and numpy.abs(value).max() > 0)


def golden(name, first_seed, *plan):
    """The first seed that is good for comparing float32 with float64: no ReLU input and no max-pool choice of a query
    pass is so near to a kink that rounding decides the gradient, and float32 reaches a tenth of the tolerance."""
    for seed in range(first_seed, first_seed + 2000):
        tensors, metadata, distance = two_steps(*plan, seed)
        if distance > 8e-6 and largest_error(two_steps(*plan, seed, kind=torch.float32)[0], tensors)[0] < 1e-5:
            return tensors, metadata
    raise RuntimeError(f"no seed suits {name}")


if __name__ == "__main__":
    for name, *plan in STEPS:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.safetensors")
        write_or_check(path, safetensors_io.encode(*golden(name, *plan)))
