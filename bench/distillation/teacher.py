"""A teacher for the comparison in bench/distillation/compare.ts: a wide ResNet, trained with labels on images of its own,
and its features of the images that students learn from, as `features:FILE.safetensors` wants them.

    python3 bench/distillation/teacher.py --train cifar10/teacher --images cifar10/student --out teacher.safetensors \
        [--onnx teacher.onnx] [--width 64] [--epochs 15] [--seed 1]
    python3 bench/distillation/teacher.py --train cifar10/teacher --images cifar10/student --out teacher.safetensors \
        --stem 7x7 --size 64 --width 32 --depths 1 2 2 2 --weights weights.pth

Folders have a folder per class. The two sets should share no image: then the teacher stands for a foreign network that
never saw the students' images, let alone their labels. Prints its accuracy on the students' images. --weights writes
the network's own, with torchvision's names: what `pretrain --init` starts from.
"""
import argparse
import json
import math
import os
import sys
import time

import numpy
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "golden"))
import safetensors_io  # noqa: E402

CIFAR = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.201)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_images(folder, most=None):
    """Pixels [N,3,H,W] as bytes, labels, and paths within the folder, sorted; at most `most` of each class."""
    classes = sorted(name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name)))
    pixels, labels, paths = [], [], []
    for label, name in enumerate(classes):
        for file in sorted(os.listdir(os.path.join(folder, name)))[:most]:
            paths.append(f"{name}/{file}")
            labels.append(label)
            with Image.open(os.path.join(folder, paths[-1])) as image:
                pixels.append(numpy.asarray(image.convert("RGB")).transpose(2, 0, 1))
    return torch.from_numpy(numpy.stack(pixels)), torch.tensor(labels), paths, classes


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        else:
            self.downsample = nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class Teacher(nn.Module):
    """A ResNet of basic blocks, `width` channels in the first stage, with torchvision's names: [2, 2, 2, 2] blocks, width 64
    and the 7x7 stem are its ResNet-18. Gives features [N, 8 width]."""

    def __init__(self, width, depths, stem):
        super().__init__()
        small = stem == "3x3"
        self.conv1 = nn.Conv2d(3, width, *((3, 1, 1) if small else (7, 2, 3)), bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        inputs = width
        for stage, depth in enumerate(depths):
            outputs = width * 2 ** stage
            strides = [2 if stage > 0 else 1] + [1] * (depth - 1)
            blocks = [Block(inputs if first == 0 else outputs, outputs, stride) for first, stride in enumerate(strides)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
            inputs = outputs

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


class Input:
    """What a network sees of pixels as bytes: their normalisation, and its side of the images where it is not theirs."""

    def __init__(self, mean, deviation, size):
        self.mean, self.deviation, self.size = mean, deviation, size

    def __call__(self, pixels):
        pixels = pixels.float() / 255
        if self.size != pixels.shape[-1]:
            sides = (self.size, self.size)
            pixels = F.interpolate(pixels, sides, mode="bilinear", align_corners=False, antialias=True)
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.deviation))
        return (pixels - mean) / deviation


def augment(batch, random):
    """Shifts by up to 4 pixels, flips."""
    size = batch.shape[-1]
    padded = F.pad(batch, (4, 4, 4, 4))
    result = torch.empty_like(batch)
    for index in range(len(batch)):
        top, left, flip = random.randint(9), random.randint(9), random.randint(2)
        crop = padded[index, :, top:top + size, left:left + size]
        result[index] = crop.flip(2) if flip else crop
    return result


def train(network, classifier, images, labels, normalise, epochs, batch, rate, random):
    parameters = [*network.parameters(), *classifier.parameters()]
    optimizer = torch.optim.SGD(parameters, rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps, step, start = epochs * (len(images) // batch), 0, time.time()
    for epoch in range(epochs):
        network.train()
        total = 0
        order = torch.from_numpy(random.permutation(len(images)))
        for first in range(0, len(images) - batch + 1, batch):
            chosen = order[first:first + batch]
            optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            loss = F.cross_entropy(classifier(network(augment(normalise(images[chosen]), random))), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, step = total + loss.item(), step + 1
        print(f"epoch {epoch + 1}: loss {total / (len(images) // batch):.3f}, {time.time() - start:.0f} s", flush=True)


def features_of(network, images, normalise):
    network.eval()
    with torch.no_grad():
        return torch.cat([network(normalise(images[first:first + 250])) for first in range(0, len(images), 250)])


def main():
    parser = argparse.ArgumentParser(description="A supervised teacher and its features.")
    for name in ("train", "images", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--onnx", help="also write the network, for --teacher model:FILE.onnx")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depths", type=int, nargs=4, default=[2, 2, 2, 2])
    parser.add_argument("--stem", choices=["3x3", "7x7"], default="3x3")
    parser.add_argument("--weights", help="also write its weights, a .pth; images then have ImageNet's mean and deviation")
    parser.add_argument("--size", type=int, help="side that images are scaled to (default: their own)")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--per-class", type=int, help="at most so many training images of each class")
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    torch.manual_seed(flags.seed)
    torch.set_num_threads(os.cpu_count())
    random = numpy.random.RandomState(flags.seed)
    images, labels, _, classes = read_images(flags.train, flags.per_class)
    network = Teacher(flags.width, flags.depths, flags.stem)
    classifier = nn.Linear(8 * flags.width, len(classes))
    normalise = Input(*(IMAGENET if flags.weights else CIFAR), flags.size or images.shape[-1])
    print(f"{len(images)} images of {len(classes)} classes, "
          f"{sum(each.numel() for each in network.parameters())} parameters", flush=True)
    train(network, classifier, images, labels, normalise, flags.epochs, flags.batch, flags.rate, random)

    taught, true, paths, _ = read_images(flags.images)
    features = features_of(network, taught, normalise)
    with torch.no_grad():
        accuracy = (classifier(features).argmax(1) == true).float().mean().item()
    print(f"accuracy on {len(taught)} images of the students: {100 * accuracy:.1f} %")
    metadata = {"files": json.dumps(paths), "teacher": f"ResNet of {flags.depths} basic blocks, width {flags.width}", "accuracy": f"{accuracy:.4f}"}
    safetensors_io.write(flags.out, {"features": features.numpy()}, metadata)
    if flags.weights:
        torch.save(network.state_dict(), flags.weights)
    if flags.onnx:
        export(network, normalise, flags.onnx)


def export(network, normalise, path):
    """The network for images that are normalised by ImageNet's statistics, which a file without metadata stands for."""

    class FromImageNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network
            (mean, deviation), own, spread = map(torch.tensor, IMAGENET), normalise.mean, normalise.deviation
            self.register_buffer("scale", (deviation / torch.tensor(spread)).view(3, 1, 1))
            self.register_buffer("shift", ((mean - torch.tensor(own)) / torch.tensor(spread)).view(3, 1, 1))

        def forward(self, x):
            return self.network(x * self.scale + self.shift)

    side = normalise.size
    torch.onnx.export(FromImageNet().eval(), torch.zeros(1, 3, side, side), path, input_names=["images"],
                      output_names=["features"], opset_version=16,
                      dynamic_axes={"images": {0: "N"}, "features": {0: "N"}})


if __name__ == "__main__":
    main()
