"""Times of the rows of bench/peers/rows.ts with PyTorch, on CUDA (TF32 off) or all CPU cores.

Reads {"rows": [...], "rounds": n, "sgd": {...}} from stdin and prints {"description": ..., "milliseconds": {name: ms}}.
Repetitions, rounds and medians are as in bench/peers/measure.ts. Started by `deno task bench:peers`.
"""

import json
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F

MEASUREMENT_SECONDS = 0.15
MOST_REPETITIONS = 256

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False


def tensor(*shape, gradient=False, scale=1.0):
    return ((torch.rand(*shape, device=device) * 2 - 1) * scale).requires_grad_(gradient)


def layer(parameters, images, description, relu):
    weight = parameters[description["convolution"] + ".weight"]
    name = description["batchnorm"]
    output = F.conv2d(images, weight, stride=description["stride"], padding=weight.shape[2] // 2)
    output = F.batch_norm(
        output,
        parameters[name + ".running_mean"],
        parameters[name + ".running_var"],
        parameters[name + ".weight"],
        parameters[name + ".bias"],
        training=True,
    )
    return F.relu(output, inplace=True) if relu else output


def residual_block(parameters, images, block):
    downsample = block.get("downsample")
    shortcut = layer(parameters, images, downsample, False) if downsample else images
    output = images
    last = len(block["branch"]) - 1
    for index, description in enumerate(block["branch"]):
        output = layer(parameters, output, description, index < last)
    return F.relu(output + shortcut, inplace=True)


def layer_parameters(descriptions):
    parameters = {}
    for description in descriptions:
        shape, name = description["shape"], description["batchnorm"]
        scale = (6 / (shape[1] * shape[2] * shape[3])) ** 0.5
        parameters[description["convolution"] + ".weight"] = tensor(*shape, gradient=True, scale=scale)
        parameters[name + ".weight"] = torch.ones(shape[0], device=device, requires_grad=True)
        parameters[name + ".bias"] = torch.zeros(shape[0], device=device, requires_grad=True)
        parameters[name + ".running_mean"] = torch.zeros(shape[0], device=device)
        parameters[name + ".running_var"] = torch.ones(shape[0], device=device)
    return parameters


def block_layers(block):
    downsample = block.get("downsample")
    return block["branch"] + ([downsample] if downsample else [])


def trained(parameters):
    return [value for value in parameters.values() if value.requires_grad]


def prepare(row, sgd):
    """A function that does one repetition."""
    kind = row["kind"]
    if kind == "matmul":
        left, right = tensor(row["size"], row["size"]), tensor(row["size"], row["size"])
        return lambda: left @ right
    if kind == "convolution":
        gradients = row["gradients"]
        images = tensor(row["batch"], row["inChannels"], row["size"], row["size"], gradient=gradients)
        kernel, stride = row["kernel"], row["stride"]
        weight = tensor(row["outChannels"], row["inChannels"], kernel, kernel, gradient=gradients)
        apply = lambda: F.conv2d(images, weight, stride=stride, padding=kernel // 2)
        if not gradients:
            return apply
        inputs = [images, weight]
    elif kind == "batchnorm":
        channels = row["channels"]
        images = tensor(row["batch"], channels, row["size"], row["size"], gradient=True)
        weight, bias = tensor(channels, gradient=True), tensor(channels, gradient=True)
        mean, variance = torch.zeros(channels, device=device), torch.ones(channels, device=device)
        apply = lambda: F.relu(F.batch_norm(images, mean, variance, weight, bias, training=True), inplace=True)
        inputs = [images, weight, bias]
    elif kind == "block":
        images = tensor(row["batch"], row["channels"], row["size"], row["size"], gradient=True)
        parameters = layer_parameters(block_layers(row["block"]))
        apply = lambda: residual_block(parameters, images, row["block"])
        inputs = [images] + trained(parameters)
    else:
        return prepare_training(row, sgd)
    grad_output = torch.rand_like(apply().detach())
    return lambda: torch.autograd.grad(apply(), inputs, grad_output)


def prepare_training(row, sgd):
    layers = [row["stem"]] + [one for block in row["blocks"] for one in block_layers(block)]
    parameters = layer_parameters(layers)
    features = row["blocks"][-1]["branch"][-1]["shape"][0]
    head = tensor(row["classes"], features, gradient=True, scale=features**-0.5)
    bias = torch.zeros(row["classes"], device=device, requires_grad=True)
    images = tensor(row["batch"], 3, row["size"], row["size"])
    labels = torch.arange(row["batch"], device=device) % row["classes"]
    optimizer = torch.optim.SGD(
        trained(parameters) + [head, bias], lr=sgd["learningRate"], momentum=sgd["momentum"]
    )

    def step():
        optimizer.zero_grad(set_to_none=True)
        output = layer(parameters, images, row["stem"], True)
        for block in row["blocks"]:
            output = residual_block(parameters, output, block)
        F.cross_entropy(F.linear(output.mean((2, 3)), head, bias), labels).backward()
        optimizer.step()

    return step


def seconds(repeat, repetitions):
    started = time.perf_counter()
    for _ in range(repetitions):
        repeat()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(repeat, rounds):
    seconds(repeat, 1)
    repetitions = 1
    while (taken := seconds(repeat, repetitions)) < MEASUREMENT_SECONDS and repetitions < MOST_REPETITIONS:
        repetitions *= 4
    repetitions = max(1, min(MOST_REPETITIONS, round(repetitions * MEASUREMENT_SECONDS / taken)))
    return 1000 * statistics.median(seconds(repeat, repetitions) / repetitions for _ in range(rounds))


def main():
    task = json.load(sys.stdin)
    torch.manual_seed(1)
    torch.set_num_threads(os.cpu_count() or 1)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    times = {row["name"]: measure(prepare(row, task["sgd"]), task["rounds"]) for row in task["rows"]}
    print(json.dumps({"description": f"PyTorch {torch.__version__}, {where}", "milliseconds": times}))


main()
