"""Checks the golden files against other ways to the same numbers; prints a line per check, exit status 1 on a fault.

    python3 tests/golden/verify.py

- one convolution, one batchnorm and all matrix products against naive numpy loops; resizing against its definition;
- sliced blocks and a sliced encoder against torch.nn modules that are really cut to the narrow shapes;
- the whole of every file against the same computation in float32: tells whether its tolerance can be met at all.
"""
import json
import os
import sys

import numpy
import torch
import torch.nn.functional as F
from torchvision.models import resnet

import cases
import exact_step
import make_nonfinite
import make_operations
import make_steps
import product_cases
import safetensors_io

FOLDER = os.path.dirname(os.path.abspath(__file__))
EVERY = slice(None)
failed = False


def report(what, error, limit):
    global failed
    failed = failed or not error <= limit
    print(f"{'ok   ' if error <= limit else 'FAULT'} {what}: {error:.1e} (limit {limit:.0e})")


def relative(found, expected):
    """max|found - expected| / max|expected|"""
    found, expected = (numpy.asarray(each, numpy.float64) for each in (found, expected))
    return numpy.abs(found - expected).max() / max(numpy.abs(expected).max(), 1e-30)


def read_cases():
    """The cases of the three files by name, each with its tensors; no two share a name."""
    found = {}
    for file in ("operations", "products", "nonfinite"):
        tensors, metadata = safetensors_io.read(os.path.join(FOLDER, f"{file}.safetensors"))
        for case in json.loads(metadata["cases"]):
            if case["name"] in found:
                raise RuntimeError(f"two cases are called {case['name']}")
            found[case["name"]] = case, {name: tensors[f"{case['name']}.{name}"] for name in case["tensors"]}
    return found


def check_convolution(case, tensors):
    """Loops over every product of the convolution."""
    chosen = case["parameters"]
    x, weight, gradient = (tensors[name].astype(float) for name in ("input", "weight", "gradOutput"))
    output, grad_x = numpy.zeros(gradient.shape), numpy.zeros(x.shape)
    grad_weight = tensors["gradWeightInitial"].astype(float)
    for n, o, i, j in numpy.ndindex(*gradient.shape):
        for c in range(chosen["inChannels"]):
            for u, v in numpy.ndindex(*weight.shape[2:]):
                row = i * chosen["stride"] - chosen["padding"] + u * chosen["dilation"]
                column = j * chosen["stride"] - chosen["padding"] + v * chosen["dilation"]
                if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                    output[n, o, i, j] += weight[o, c, u, v] * x[n, c, row, column]
                    grad_x[n, c, row, column] += weight[o, c, u, v] * gradient[n, o, i, j]
                    grad_weight[o, c, u, v] += gradient[n, o, i, j] * x[n, c, row, column]
    for name, value in (("output", output), ("gradInput", grad_x), ("gradWeight", grad_weight)):
        report(f"{case['name']}.{name}, naive loop", relative(value, tensors[name]), 1e-6)


def check_batchnorm(case, tensors):
    """Batchnorm with groups, residual and ReLU, channel by channel; the gradient by its closed form."""
    chosen, groups = case["parameters"], case["parameters"]["groups"]
    x, gradient = tensors["input"].astype(float), tensors["gradOutput"].astype(float)
    gradient = gradient * (tensors["output"] > 0) if chosen["relu"] else gradient
    output, grad_x = numpy.zeros(x.shape), numpy.zeros(x.shape)
    found = {name: tensors[source].astype(float) for name, source in (
        ("gradWeight", "gradWeightInitial"), ("gradBias", "gradBiasInitial"), ("runningMeanAfter", "runningMean"),
        ("runningVarianceAfter", "runningVariance"))}
    size = len(x) // groups
    for c in range(x.shape[1]):
        means, variances = [], []
        for group in range(groups):
            rows = slice(group * size, (group + 1) * size)
            values, g = x[rows, c], gradient[rows, c]
            mean, count = values.sum() / values.size, values.size
            variance = ((values - mean) ** 2).sum() / count
            inverse = 1 / numpy.sqrt(variance + chosen["epsilon"])
            normal = (values - mean) * inverse
            output[rows, c] = normal * tensors["weight"][c] + tensors["bias"][c]
            found["gradWeight"][c] += (g * normal).sum()
            found["gradBias"][c] += g.sum()
            grad_x[rows, c] = tensors["weight"][c] * inverse * (g - g.mean() - normal * (g * normal).mean())
            means.append(mean)
            variances.append(variance * count / (count - 1))
        for name, values in (("runningMeanAfter", means), ("runningVarianceAfter", variances)):
            found[name][c] = 0.9 * found[name][c] + 0.1 * sum(values) / groups
    if chosen["residual"]:
        output += tensors["residual"]
        report(f"{case['name']}.gradResidual, naive loop", relative(gradient, tensors["gradResidual"]), 1e-6)
    output = numpy.maximum(output, 0) if chosen["relu"] else output
    for name, value in {"output": output, "gradInput": grad_x, **found}.items():
        report(f"{case['name']}.{name}, naive loop", relative(value, tensors[name]), 1e-6)


def check_matmul(case, tensors):
    """Loops over the places of the product, whose operands are stored as the parameters say."""
    chosen = case["parameters"]
    a, b, gradient = (tensors[name].astype(float) for name in ("a", "b", "gradOutput"))
    output, grad_a, grad_b = numpy.zeros(gradient.shape), numpy.zeros(a.shape), numpy.zeros(b.shape)
    for *batch, i, j in numpy.ndindex(*gradient.shape):
        row, column = (*batch, *((EVERY, i) if chosen["transposeA"] else (i, EVERY))), \
            (*batch, *((j, EVERY) if chosen["transposeB"] else (EVERY, j)))
        output[(*batch, i, j)] = (a[row] * b[column]).sum()
        grad_a[row] += gradient[(*batch, i, j)] * b[column]
        grad_b[column] += gradient[(*batch, i, j)] * a[row]
    for name, value in (("output", output), ("gradA", grad_a), ("gradB", grad_b)):
        report(f"{case['name']}.{name}, naive loop", relative(value, tensors[name]), 1e-6)


def triangle_weights(length, target):
    """Resizing's weights by definition: a triangle as wide as the larger of an input and an output pixel."""
    scale = length / target
    support = max(scale, 1)
    weights = numpy.zeros((target, length))
    for i, j in numpy.ndindex(*weights.shape):
        weights[i, j] = max(0, 1 - abs((j + 0.5) - (i + 0.5) * scale) / support)
    return weights / weights.sum(1, keepdims=True)


def check_resize(case, tensors):
    height, width = case["parameters"]["size"]
    for index, image in enumerate(case["parameters"]["images"]):
        top, left, rows, columns = image["crop"]
        crop = tensors["images"][index, :, top:top + rows, left:left + columns] / 255.0
        found = triangle_weights(rows, height) @ crop @ triangle_weights(columns, width).T
        report(f"{case['name']}.cropped[{index}], triangle filter", relative(found, tensors["cropped"][index]), 1e-6)


def check_block(case, tensors):
    """A torchvision block whose parameters are cut out of the wide ones for real."""
    chosen = case["parameters"]
    kind = {"basic": resnet.BasicBlock, "bottleneck": resnet.Bottleneck}[case["operation"]]
    shortcut = None
    if chosen["downsample"]:
        outputs = chosen["width"] * kind.expansion
        shortcut = torch.nn.Sequential(torch.nn.Conv2d(chosen["inChannels"], outputs, 1, chosen["stride"], bias=False),
                                       torch.nn.BatchNorm2d(outputs))
    block = kind(chosen["inChannels"], chosen["width"], chosen["stride"], shortcut).double()
    cut(block, lambda name: tensors[name])
    x = torch.from_numpy(tensors["input"].copy()).double().requires_grad_(True)
    output = block(x)
    output.backward(torch.from_numpy(tensors["gradOutput"].copy()).double())
    worst = max(relative(output.detach(), tensors["output"]), relative(x.grad, tensors["gradInput"]))
    for name, value in block.named_parameters():
        wide = tensors[f"grad.{name}"].copy()
        part = tuple(slice(each) for each in value.shape)
        worst = max(worst, relative(value.grad, wide[part]))
        wide[part] = 0
        worst = max(worst, numpy.abs(wide).max())
    for name, value in block.named_buffers():
        if "running" in name:
            worst = max(worst, relative(value, tensors[f"after.{name}"][:len(value)]))
    report(f"{case['name']}, cut torchvision block", worst, 1e-6)


def cut(module, wide):
    """Fills a module with the leading slices of the wide arrays that `wide(name)` gives."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                array = numpy.array(wide(name))[tuple(slice(each) for each in value.shape)]
                value.copy_(torch.from_numpy(array))


def read_steps(name):
    tensors, metadata = safetensors_io.read(os.path.join(FOLDER, f"{name}.safetensors"))
    initial = {key[len("initial."):]: value for key, value in tensors.items() if key.startswith("initial.")}
    return tensors, initial, json.loads(metadata["config"])


def cut_network(space, architecture):
    """A torchvision ResNet, headless, of just the widths and depths of an architecture; and its feature count."""
    stem, widths, depths = space.architecture(architecture)
    kind = {"basic": resnet.BasicBlock, "bottleneck": resnet.Bottleneck}[space.block]
    network = resnet.ResNet(kind, [1] * len(widths))
    large, inputs = space.stem["kind"] == "7x7", stem
    network.conv1 = torch.nn.Conv2d(3, stem, *((7, 2, 3) if large else (3, 1, 1)), bias=False)
    network.bn1 = torch.nn.BatchNorm2d(stem)
    network.maxpool = network.maxpool if large else torch.nn.Identity()
    for stage, (width, depth) in enumerate(zip(widths, depths)):
        blocks = []
        for index in range(depth):
            stride, outputs, shortcut = space.strides[stage] if index == 0 else 1, width * space.expansion, None
            if index == 0 and space.has_downsample(stage):
                shortcut = torch.nn.Sequential(torch.nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                                               torch.nn.BatchNorm2d(outputs))
            blocks.append(kind(inputs, width, stride, shortcut))
            inputs = outputs
        setattr(network, f"layer{stage + 1}", torch.nn.Sequential(*blocks))
    network.fc = torch.nn.Identity()
    return network.double(), inputs


def check_encoder(name, architecture):
    """The sliced query encoder at one architecture against a network that is really cut."""
    tensors, initial, config = read_steps(name)
    space = exact_step.Space(config["space"])
    network, inputs = cut_network(space, architecture)
    cut(network, lambda key: initial[f"encoder_q.{key}"])
    images = torch.from_numpy(tensors["images"].copy()).double()
    features = network(images)
    head = {key: torch.from_numpy(value.copy()).double() for key, value in initial.items() if "_q.fc" in key}
    if "encoder_q.fc.weight" in head:
        features = F.linear(features, head["encoder_q.fc.weight"][:, :inputs], head["encoder_q.fc.bias"])
    else:
        features = F.linear(features, head["encoder_q.fc.0.weight"][:, :inputs], head["encoder_q.fc.0.bias"])
        features = F.linear(F.relu(features), head["encoder_q.fc.2.weight"], head["encoder_q.fc.2.bias"])
    state = exact_step.load_state(initial, torch.float64)
    with torch.no_grad():
        found = exact_step.Encoder(space, state, "encoder_q", 1)(images, space.architecture(architecture))
    report(f"{name} at {architecture}, cut torchvision network", relative(found, F.normalize(features).detach()), 1e-12)
    worst = max(relative(state[f"encoder_q.{key}"][:len(value)], value) for key, value in network.named_buffers()
                if "running" in key)
    report(f"{name} at {architecture}, running statistics", worst, 1e-12)


def check_steps():
    """Both steps of step_single by plain means: two torchvision networks, torch.optim.SGD, its cosine schedule."""
    tensors, initial, config = read_steps("step_single")
    networks = {}
    for prefix in ("encoder_q", "encoder_k"):
        network, inputs = cut_network(exact_step.Space(config["space"]), "max")
        network.fc = torch.nn.Linear(inputs, config["head"]["dimension"]).double()
        cut(network, lambda key: initial[f"{prefix}.{key}"])
        networks[prefix] = network
    query, key = networks.values()
    chosen = config["optimizer"]
    optimiser = torch.optim.SGD(query.parameters(), chosen["learningRate"], chosen["momentum"],
                                weight_decay=chosen["weightDecay"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config["training"]["epochs"])
    queue = torch.from_numpy(initial["queue"].copy()).double()
    images = torch.from_numpy(tensors["images"][tensors["order"]]).double()
    for number in (1, 2):
        with torch.no_grad():
            keys = F.normalize(key(images))
        features = F.normalize(query(images))
        similarity = torch.exp(features @ torch.cat([keys, queue]).T / config["moco"]["temperature"])
        positive = similarity.diagonal()
        loss = -torch.log(positive / (positive + similarity[:, len(keys):].sum(1))).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            for mine, theirs in zip(key.parameters(), query.parameters()):
                mine.mul_(config["moco"]["momentum"]).add_(theirs, alpha=1 - config["moco"]["momentum"])
        queue = torch.cat([queue[:(number - 1) * len(keys)], keys, queue[number * len(keys):]])
        errors = [relative(loss.item(), tensors[f"step{number}.losses"]),
                  relative(queue, tensors[f"step{number}.queue"])]
        for prefix, network in networks.items():
            errors += [relative(value, tensors[f"step{number}.{prefix}.{name}"])
                       for name, value in network.state_dict().items() if "num_batches" not in name]
        errors += [relative(optimiser.state[value]["momentum_buffer"],
                            tensors[f"step{number}.optimizer.momentum.encoder_q.{name}"])
                   for name, value in query.named_parameters()]
        report(f"step_single, step {number}, {len(errors)} tensors, torch.optim.SGD", max(errors), 1e-6)


def check_single_precision(golden):
    """The same computations in float32 by PyTorch: half of each tolerance must be enough for them."""
    cases.REFERENCE = torch.float32
    worst = {}
    for case in [*make_operations.all_cases(), *product_cases.product_cases(), *make_nonfinite.nonfinite_cases()]:
        stored_case, expected = golden[case.name]
        for name, value in case.tensors.items():
            # Where NaN and infinities stand, make_nonfinite.py checks.
            ordinary = numpy.isfinite(expected[name])
            if value.dtype.kind != "f" or not numpy.abs(expected[name][ordinary]).max(initial=0) > 0:
                continue
            side = "backward" if name.startswith("grad") else "forward"
            share = relative(value[ordinary], expected[name][ordinary]) / stored_case["tolerance"][side]
            report_name = f"{case.name}.{name}"
            worst[case.operation] = max(worst.get(case.operation, (0, "")), (share, report_name))
    cases.REFERENCE = torch.float64
    for share, name in worst.values():
        report(f"{name} in float32, share of its tolerance", share, 0.5)
    for name, _, *plan in make_steps.STEPS:
        stored, metadata = safetensors_io.read(os.path.join(FOLDER, f"{name}.safetensors"))
        found = make_steps.two_steps(*plan, int(metadata["seed"]), torch.float32)[0]
        error, tensor = make_steps.largest_error(found, stored)
        report(f"{name}.{tensor} in float32", error, 5e-5)


def main():
    golden = read_cases()
    infinite = sum(not all(numpy.isfinite(value).all() for value in tensors.values()) for _, tensors in golden.values())
    report("cases with an infinity or NaN, less those of nonfinite.safetensors",
           infinite - len(make_nonfinite.checked_cases()), 0)
    for name in ("convolution_3x3_sliced_stride2", "convolution_3x3_dilation2_stride2", "convolution_1x3"):
        check_convolution(*golden[name])
    for name in ("batchnorm_sliced", "batchnorm_groups_relu_sliced", "batchnorm_residual_relu_sliced",
                 "batchnorm_large_mean_groups"):
        check_batchnorm(*golden[name])
    for case, tensors in golden.values():
        if case["operation"] == "matmul" and "nonfinite" not in case["name"]:
            check_matmul(case, tensors)
        if case["operation"] == "augmentation":
            check_resize(case, tensors)
        if case["operation"] in ("basic", "bottleneck"):
            check_block(case, tensors)
    for name, architectures in (("step_single", ["max"]), ("step_pair", ["max", "min"]),
                                ("step_bottleneck", ["max", "min", "3-2.3.3.3-1.1.1.1"])):
        for architecture in architectures:
            check_encoder(name, architecture)
    check_steps()
    check_single_precision(golden)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
