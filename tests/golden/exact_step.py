"""Pretraining steps of the elastic ResNet under MoCo v2, in PyTorch, from a checkpoint: what Scion must reproduce.

    python3 tests/golden/exact_step.py --checkpoint runs/x/checkpoints/last.safetensors --images images.safetensors \
        --config runs/x/config.json --architectures max,min --order order.txt --steps 1 --out expected.safetensors \
        [--against runs/y/checkpoints/last.safetensors]

The batch is the whole image set, both views are the images as they are (no augmentation). One step is
  1. keys: the key encoder at the largest architecture, batchnorm in training mode, output L2-normalised;
  2. for each architecture in turn: forward in training mode, loss = mean over the batch of the cross-entropy of
     [q.k, q.queue] / temperature with the positive at index 0, backward; gradients are summed, not averaged, over the
     passes; every pass updates the shared running statistics in place; with moco.selfDistillation, each pass but the first
     adds that weight times the cross-entropy between the first pass's softmax(q.queue / temperature) and its own;
  3. SGD at full width: g += decay w, buffer = momentum buffer + g, w -= lr buffer,
     lr = base (1 + cos(pi step / totalSteps)) / 2 with the step counted from 0;
  4. key encoder: k = m k + (1 - m) q over all parameters, from the new weights, at full width; batchnorm buffers are not
     averaged. (MoCo's code does this at the start of the next step, which gives the same keys.)
  5. the keys enter the queue at the pointer, which advances modulo the queue's length.
With distillation.teacher, each pass adds distillation.weight times 1 - the mean cosine between its pooled features behind
the layer `distillation` and the teacher's features of the same image: rows of `targets`, or with `self` what the network
`teacher` makes of the images with the batch's statistics. The rest of the loss is weighed by distillation.moco; where that
is 0 there are no keys and no queue, and the key encoder's batchnorm buffers follow the query encoder's as its weights do.
Everything is computed in float64 unless --float32 is given, and stored as float32.
"""
import argparse
import json
import math
import sys

import numpy
import torch
import torch.nn.functional as F

import safetensors_io

EPSILON, STATISTICS_MOMENTUM = 1e-5, 0.1
BUFFERS = ("running_mean", "running_var")


class Space:
    """The `space` section of a configuration."""

    def __init__(self, definition):
        self.block, self.stem = definition["block"], definition["stem"]
        self.widths, self.depths, self.strides = (definition[each] for each in ("widths", "depths", "strides"))
        self.named = definition.get("named", {})
        self.expansion = {"bottleneck": 4, "basic": 1}[self.block]

    def architecture(self, text):
        """The triple (stem, widths, depths) that `max`, `min`, a name or an id means."""
        if text in ("max", "min"):
            choose = max if text == "max" else min
            return (choose(self.stem["widths"]), [choose(each) for each in self.widths],
                    [choose(each) for each in self.depths])
        stem, widths, depths = self.named.get(text, text).split("-")
        found = int(stem), [int(each) for each in widths.split(".")], [int(each) for each in depths.split(".")]
        inside = found[0] <= max(self.stem["widths"]) and all(
            len(values) == len(choices) and all(0 < value <= max(each) for value, each in zip(values, choices))
            for values, choices in ((found[1], self.widths), (found[2], self.depths)))
        if not inside:
            raise SystemExit(f"{text} cannot be cut out of this space")
        return found

    def has_downsample(self, stage):
        """Whether a stage's first block projects its shortcut."""
        incoming = self.stem["widths"] if stage == 0 else self.widths[stage - 1]
        fixed = incoming == self.widths[stage] and len(incoming) == 1
        return self.block == "bottleneck" or self.strides[stage] != 1 or not fixed


class Encoder:
    """An elastic ResNet with its head, whose parameters and buffers live at full width in `state` under `prefix`.

    `kinks` collects distances to points where the gradient jumps: a ReLU's zero, a tie in the max-pool. Where rounding
    takes a value across such a point, float32 and float64 gradients differ by far more than rounding."""

    def __init__(self, space, state, prefix, groups, kinks=None, frozen=False):
        self.space, self.state, self.prefix, self.groups, self.kinks = space, state, prefix, groups, kinks
        self.frozen = frozen

    def tensor(self, name):
        return self.state[f"{self.prefix}.{name}"]

    def convolve(self, x, name, outputs, stride, padding):
        return F.conv2d(x, self.tensor(f"{name}.weight")[:outputs, :x.shape[1]], None, stride, padding)

    def normalise(self, x, name):
        """Training-mode batchnorm over contiguous groups of the batch; the running statistics, unless there are none,
        move towards the mean over the groups of each group's mean and unbiased variance."""
        batch, channels = x.shape[:2]
        if batch % self.groups:
            raise SystemExit(f"a batch of {batch} does not split into {self.groups} equal batchnorm groups")
        grouped = x.reshape(self.groups, batch // self.groups, *x.shape[1:])
        mean = grouped.mean((1, 3, 4), keepdim=True)
        centred = grouped - mean
        variance = (centred * centred).mean((1, 3, 4), keepdim=True)
        scale, shift = (self.tensor(f"{name}.{each}")[:channels, None, None] for each in ("weight", "bias"))
        count = grouped[0, :, 0].numel()
        with torch.no_grad():
            for each, value in () if self.frozen else zip(BUFFERS, (mean, variance * count / (count - 1))):
                running = self.tensor(f"{name}.{each}")[:channels]
                running += STATISTICS_MOMENTUM * (value.mean(0).flatten() - running)
        return (centred / torch.sqrt(variance + EPSILON) * scale + shift).reshape(x.shape)

    def relu(self, x):
        if self.kinks is not None:
            self.kinks.append(x.detach().abs().min().item())
        return F.relu(x)

    def pool(self, x):
        if self.kinks is not None:
            top = F.unfold(x.detach().flatten(0, 1)[:, None], 3, padding=1, stride=2).topk(2, dim=1).values
            # A tie of zeros decides nothing: the ReLU before passes no gradient there.
            self.kinks.append((top[:, 0] - top[:, 1])[top[:, 0] > 0].min().item())
        return F.max_pool2d(x, 3, 2, 1)

    def block(self, x, name, width, stride, downsample):
        if self.space.block == "basic":
            layers = [("1", width, stride, 1), ("2", width, 1, 1)]
        else:
            layers = [("1", width, 1, 0), ("2", width, stride, 1), ("3", 4 * width, 1, 0)]
        y = x
        for index, outputs, step, padding in layers:
            y = self.normalise(self.convolve(y, f"{name}.conv{index}", outputs, step, padding), f"{name}.bn{index}")
            if index != layers[-1][0]:
                y = self.relu(y)
        if downsample:
            x = self.convolve(x, f"{name}.downsample.0", width * self.space.expansion, stride, 0)
            x = self.normalise(x, f"{name}.downsample.1")
        return self.relu(y + x)

    def __call__(self, images, architecture):
        """L2-normalised projections [N,dim] of images [N,3,H,W]."""
        return self.project(self.pooled(images, architecture))

    def pooled(self, images, architecture):
        """Features [N,C] of images [N,3,H,W], averaged over the positions."""
        stem, widths, depths = architecture
        large = self.space.stem["kind"] == "7x7"
        x = self.convolve(images, "conv1", stem, *((2, 3) if large else (1, 1)))
        x = self.relu(self.normalise(x, "bn1"))
        if large:
            x = self.pool(x)
        for stage, (width, depth) in enumerate(zip(widths, depths)):
            for index in range(depth):
                first = index == 0
                x = self.block(x, f"layer{stage + 1}.{index}", width, self.space.strides[stage] if first else 1,
                               first and self.space.has_downsample(stage))
        return x.mean((2, 3))

    def project(self, x):
        """L2-normalised projections [N,dim] of pooled features."""
        if f"{self.prefix}.fc.0.weight" in self.state:
            x = F.linear(x, self.tensor("fc.0.weight")[:, :x.shape[1]], self.tensor("fc.0.bias"))
            x = F.linear(self.relu(x), self.tensor("fc.2.weight"), self.tensor("fc.2.bias"))
        else:
            x = F.linear(x, self.tensor("fc.weight")[:, :x.shape[1]], self.tensor("fc.bias"))
        return F.normalize(x, dim=1, eps=1e-12)


def parameters_of(state):
    """The query encoder's parameters, by their names without prefix."""
    return [name[len("encoder_q."):] for name in state
            if name.startswith("encoder_q.") and not name.endswith(BUFFERS)]


def teach(state, space, images, targets, groups):
    """The teacher's features of the images."""
    if targets is not None:
        return targets
    return Encoder(space, state, "teacher", groups, frozen=True).pooled(images, space.architecture("max"))


def contrast(query, keys, queue, settings, first):
    """The contrastive loss of a pass, and its distribution over the queue; `first`: that of the step's first pass."""
    positive = (query * keys).sum(1, keepdim=True)
    logits = torch.cat([positive, query @ queue.T], 1) / settings["temperature"]
    loss = F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long))
    similarities = query @ queue.T / settings["temperature"]
    if first is not None and settings["selfDistillation"] > 0:
        # Every pass but the first matches the first one's similarities to the queue, from the same view.
        loss = loss + settings["selfDistillation"] * F.cross_entropy(similarities, first)
    return loss, similarities.detach().softmax(1)


def step(state, images, space, architectures, settings, number, key_order=None, kinks=None, targets=None):
    """Makes step `number` (from 0) on `state`, in place; returns the passes' losses. `key_order`: the order in which
    the batch goes through the key encoder (shuffled batchnorm); the keys return to the batch's order. `targets`: the
    teacher's features of the images, unless the teacher is the network itself."""
    names = parameters_of(state)
    groups, teacher = settings["groups"], settings["teacher"]
    contrasted = teacher is None or teacher["moco"] > 0
    with torch.no_grad():
        if contrasted:
            queue, pointer = state["queue"], state["queue_pointer"]
            order = torch.arange(len(images)) if key_order is None else torch.as_tensor(key_order)
            shuffled = Encoder(space, state, "encoder_k", groups)(images[order], space.architecture("max"))
            keys = torch.empty_like(shuffled)
            keys[order] = shuffled
        features = teach(state, space, images, targets, groups) if teacher else None
    for name in names:
        state[f"encoder_q.{name}"].requires_grad_(True).grad = None
    losses, distribution = [], None
    for text in architectures:
        encoder = Encoder(space, state, "encoder_q", groups, kinks)
        pooled = encoder.pooled(images, space.architecture(text))
        loss = 0
        if contrasted:
            loss, found = contrast(encoder.project(pooled), keys, queue, settings, distribution)
            distribution = found if distribution is None else distribution
        if teacher:
            learned = F.linear(pooled, encoder.tensor("distillation.weight")[:, :pooled.shape[1]],
                               encoder.tensor("distillation.bias"))
            distance = (1 - F.cosine_similarity(learned, features, dim=1)).mean()
            loss = teacher["moco"] * loss + teacher["weight"] * distance
        # Autograd adds to what is there: after the passes each .grad is the sum.
        loss.backward()
        losses.append(loss.item())
    rate = settings["learningRate"]
    if settings["schedule"] == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * number / settings["totalSteps"]))
    with torch.no_grad():
        for name in names:
            weight, buffer = state[f"encoder_q.{name}"], state[f"optimizer.momentum.encoder_q.{name}"]
            # Without the largest architecture among the passes, a deep block may have no gradient at all.
            gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
            buffer.copy_(settings["momentum"] * buffer + gradient + settings["weightDecay"] * weight)
            weight -= rate * buffer
            weight.requires_grad_(False).grad = None
            key = state[f"encoder_k.{name}"]
            key.copy_(settings["ema"] * key + (1 - settings["ema"]) * weight)
        if contrasted:
            rows = (int(pointer) + torch.arange(len(keys))) % len(queue)
            queue[rows] = keys
            pointer.fill_((int(pointer) + len(keys)) % len(queue))
        else:
            for name in [each for each in state if each.startswith("encoder_k.") and each.endswith(BUFFERS)]:
                query = state[name.replace("encoder_k.", "encoder_q.")]
                state[name].copy_(settings["ema"] * state[name] + (1 - settings["ema"]) * query)
    return losses


def load_state(tensors, kind):
    """Torch tensors of the given floating type from a checkpoint's, those that a step reads or writes."""
    state = {name: torch.from_numpy(numpy.array(value)) for name, value in tensors.items()
             if name.startswith(("encoder_", "queue", "optimizer.momentum.", "teacher."))}
    state = {name: value.to(kind) if value.is_floating_point() else value for name, value in state.items()}
    wanted = [f"{prefix}.{name}" for name in parameters_of(state)
              for prefix in ("encoder_k", "optimizer.momentum.encoder_q")]
    if not any(name.startswith("encoder_q.distillation") for name in state) or "encoder_q.fc.bias" in state:
        wanted += ["queue", "queue_pointer"]
    missing = [name for name in wanted if name not in state]
    if missing:
        raise SystemExit(f"the checkpoint lacks {', '.join(missing[:5])}")
    return state


def save_state(state):
    """Numpy arrays of a state, floating ones as float32."""
    arrays = {name: value.detach().numpy() for name, value in state.items()}
    return {name: value.astype(numpy.float32) if value.dtype.kind == "f" else value.copy()
            for name, value in arrays.items()}


def compare(found, expected):
    """Prints the largest relative errors, max|found - expected| / max|expected| per tensor; returns the largest."""
    errors = []
    for name, reference in expected.items():
        if name not in found or found[name].size != reference.size:
            raise SystemExit(f"the other file lacks {name} in the shape {list(reference.shape)}")
        reference, other = reference.astype(numpy.float64), found[name].astype(numpy.float64)
        difference = numpy.abs(other.reshape(reference.shape) - reference).max()
        scale = numpy.abs(reference).max()
        error = difference / scale if scale > 0 else difference
        errors.append((error if numpy.isfinite(error) else numpy.inf, name))
    errors.sort(reverse=True)
    for error, name in errors[:10]:
        print(f"{error:.2e}  {name}")
    print(f"{len(errors)} tensors compared, largest relative error {errors[0][0]:.2e}")
    return errors[0][0]


def read_orders(path, images_file, count, steps):
    """The batch's order in each step: from a text file (one line per step, the last one repeated), else the `order`
    tensor of the images file, else the file's own order."""
    if path:
        with open(path) as file:
            lines = [[int(each) for each in line.replace(",", " ").split()] for line in file if line.strip()]
    elif "order" in images_file:
        lines = numpy.atleast_2d(images_file["order"]).tolist()
    else:
        lines = [list(range(count))]
    for line in lines:
        if sorted(line) != list(range(count)):
            raise SystemExit(f"an order must hold each of 0 to {count - 1} once, not {line}")
    return [lines[min(number, len(lines) - 1)] for number in range(steps)]


def teacher_of(distillation):
    """The weights of both terms; None without a teacher."""
    if not distillation or distillation.get("teacher") is None:
        return None
    return {"moco": distillation.get("moco", 0), "weight": distillation.get("weight", 1)}


def settings_of(config, total_steps=None):
    """The numbers of a step from a resolved configuration. One step is one epoch, as the batch is the whole set."""
    optimizer, moco = config["optimizer"], config["moco"]
    for what, given, expected in (("optimizer.warmupEpochs", optimizer["warmupEpochs"], 0),
                                  ("moco.teacher", moco["teacher"], "largest")):
        if given != expected:
            raise SystemExit(f"{what} is {given}; this program knows only {expected}")
    settings = {name: optimizer[name] for name in ("learningRate", "momentum", "weightDecay", "schedule")}
    settings.update(ema=moco["momentum"], temperature=moco["temperature"], groups=moco["batchnormGroups"],
                    selfDistillation=moco.get("selfDistillation", 0),
                    teacher=teacher_of(config.get("distillation")), totalSteps=total_steps or config["training"]["epochs"])
    if settings["totalSteps"] < 1:
        raise SystemExit("the configuration has training.epochs 0; give the length of the run with --total-steps")
    return settings


def main():
    parser = argparse.ArgumentParser(description="Exact pretraining steps from a checkpoint, in PyTorch.")
    for name in ("checkpoint", "images", "config", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--architectures", default="max", help="passes, e.g. max,min,ID; steps separated by ;")
    parser.add_argument("--order", help="text file: the batch's order, a line per step")
    parser.add_argument("--key-order", help="text file: the order in which the key encoder sees the batch")
    parser.add_argument("--targets", help="safetensors file with the teacher's `features`, a row an image")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--first-step", type=int, default=0, help="number of the first step, for the learning rate")
    parser.add_argument("--float32", action="store_true")
    parser.add_argument("--against", help="checkpoint to compare the result with; exit status 1 beyond 1e-4")
    parser.add_argument("--total-steps", type=int, help="length of the run; training.epochs unless given")
    flags = parser.parse_args()
    with open(flags.config) as file:
        config = json.load(file)
    settings = settings_of(config, flags.total_steps)
    teacher = (config.get("distillation") or {}).get("teacher")
    if teacher not in (None, "self") and not flags.targets:
        raise SystemExit(f"the teacher is {teacher}: give its features with --targets")
    kind = torch.float32 if flags.float32 else torch.float64
    state = load_state(safetensors_io.read(flags.checkpoint)[0], kind)
    images_file = safetensors_io.read(flags.images)[0]
    images = torch.from_numpy(numpy.array(images_file["images"])).to(kind)
    targets = None
    if flags.targets:
        targets = torch.from_numpy(numpy.array(safetensors_io.read(flags.targets)[0]["features"])).to(kind)
    orders = read_orders(flags.order, images_file, len(images), flags.steps)
    key_orders = read_orders(flags.key_order, {}, len(images), flags.steps)
    passes = [each.split(",") for each in flags.architectures.split(";")]
    log, kinks = [], []
    for number in range(flags.steps):
        architectures = passes[min(number, len(passes) - 1)]
        losses = step(state, images[orders[number]], Space(config["space"]), architectures, settings,
                      flags.first_step + number, key_orders[number], kinks,
                      None if targets is None else targets[orders[number]])
        log.append({"architectures": architectures, "losses": losses})
        print(json.dumps(log[-1]))
    print(f"distance to the nearest kink {min(kinks):.1e}; below about 1e-6, float32 may fall on its other side")
    result = save_state(state)
    safetensors_io.write(flags.out, result, {"steps": json.dumps(log), "settings": json.dumps(settings)})
    if flags.against and compare(safetensors_io.read(flags.against)[0], result) > 1e-4:
        sys.exit(1)


if __name__ == "__main__":
    main()
