EXPANSION = 4 if BLOCK == "bottleneck" else 1


def read_safetensors(path):
    """The tensors of a .safetensors file by name, float32, and its metadata."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length).decode("utf-8"))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: {name} is {entry['dtype']}, expected F32")
        start, end = entry["data_offsets"]
        values = torch.frombuffer(data, dtype=torch.float32, count=(end - start) // 4, offset=start)
        tensors[name] = values.reshape(entry["shape"]).clone()
    return tensors, metadata


def read_weights(path=WEIGHTS):
    """The weights of this architecture, by torchvision's names."""
    tensors, metadata = read_safetensors(path)
    if metadata.get("arch") != ARCH:
        raise ValueError(f"{path} holds {metadata.get('arch')}; this file builds {ARCH}")
    return tensors


def convolution(inputs, outputs, kernel, stride=1, dilation=1):
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)


class Block(nn.Module):
    """relu(branch(x) + shortcut(x)). The branch of a basic block is two 3x3 convolutions; that of a bottleneck 1x1, 3x3,
    1x1, the last four times as wide. The stride is that of the first 3x3 convolution."""

    def __init__(self, inputs, width, stride, first_dilation, dilation, project):
        super().__init__()
        outputs = width * EXPANSION
        if BLOCK == "bottleneck":
            layers = [(inputs, width, 1), (width, width, 3, stride, first_dilation), (width, outputs, 1)]
        else:
            layers = [(inputs, width, 3, stride, first_dilation), (width, outputs, 3, 1, dilation)]
        self.count = len(layers)
        for number, layer in enumerate(layers, 1):
            setattr(self, f"conv{number}", convolution(*layer))
            setattr(self, f"bn{number}", nn.BatchNorm2d(layer[1]))
        self.downsample = None
        if project:
            self.downsample = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        for number in range(1, self.count + 1):
            x = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x))
            x = functional.relu(x + shortcut if number == self.count else x)
        return x


class Backbone(nn.Module):
    """The network. Its output is a dict: "c2", "c3", … are the maps [N, C, H, W] behind each stage, "features"
    [N, FEATURES] is the last of them averaged over its positions, "logits" [N, CLASSES] what its classifier says, if any."""

    def __init__(self):
        super().__init__()
        large = STEM == "7x7"
        self.conv1 = convolution(3, STEM_WIDTH, 7 if large else 3, 2 if large else 1)
        self.bn1 = nn.BatchNorm2d(STEM_WIDTH)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.stages = len(WIDTHS)
        inputs, dilation = STEM_WIDTH, 1
        for stage, (width, depth) in enumerate(zip(WIDTHS, DEPTHS)):
            first_dilation, stride = dilation, STRIDES[stage]
            if DILATED[stage]:
                dilation, stride = dilation * stride, 1
            blocks = []
            for index in range(depth):
                first = index == 0
                blocks.append(Block(
                    inputs, width, stride if first else 1, first_dilation if first else dilation, dilation,
                    first and PROJECTED[stage]))
                inputs = width * EXPANSION
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        if CLASSES is not None:
            self.fc = nn.Linear(FEATURES, len(CLASSES))

    def forward(self, images):
        x = self.maxpool(functional.relu(self.bn1(self.conv1(images))))
        outputs = {}
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
            outputs[f"c{stage + 1}"] = x
        outputs["features"] = x.mean((2, 3))
        if CLASSES is not None:
            outputs["logits"] = self.fc(outputs["features"])
        return outputs


def load(path=WEIGHTS):
    """The network with its weights, in evaluation mode. Every tensor must find its place, and every place its tensor."""
    model = Backbone()
    model.load_state_dict(read_weights(path), strict=True)
    return model.eval()


def resized_sides(height, width):
    """Height and width that an image is resized to: the shorter side becomes RESIZE, or SIZE where it is at most SIZE."""
    shorter = min(height, width)
    side = SIZE if shorter <= SIZE else RESIZE
    return tuple(side if length == shorter else int(side * length / shorter) for length in (height, width))


def resize_image(image):
    """A Pillow image as resized bytes [3, H, W]: upright by its EXIF orientation, transparency on white."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    height, width = resized_sides(image.height, image.width)
    image = image.convert("RGB").resize((width, height), Image.BILINEAR)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.reshape(height, width, 3).permute(2, 0, 1).float()


def resize_tensor(pixels):
    """The same of bytes [3, H, W]; Pillow's filter rounds otherwise, by a step of 1/255 at most in a few pixels."""
    sides = resized_sides(*pixels.shape[1:])
    resized = functional.interpolate(pixels[None].float(), sides, mode="bilinear", antialias=True, align_corners=False)
    return resized[0].round().clamp(0, 255)


def preprocess(image):
    """An image as the network expects it, [3, SIZE, SIZE].

    image: a Pillow image, or a tensor [3, H, W] of bytes, red first.

    1. Resize it by the bilinear filter with antialiasing: the shorter side to RESIZE, or, where it is at most SIZE, to SIZE.
    2. Crop the central square of SIZE.
    3. Divide by 255, subtract MEAN, divide by STD, for red, green and blue.

    Torchvision's Resize(RESIZE), CenterCrop(SIZE), ToTensor() and Normalize(MEAN, STD) make the same of images larger than
    SIZE.
    """
    pixels = resize_tensor(image) if torch.is_tensor(image) else resize_image(image)
    top, left = (int(round((length - SIZE) / 2)) for length in pixels.shape[1:])
    square = pixels[:, top:top + SIZE, left:left + SIZE]
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, STD))
    return (square / 255 - mean) / std


def main():
    parser = argparse.ArgumentParser(description=f"Features of images by {ARCH}.")
    parser.add_argument("images", nargs="*", help="image files (needs Pillow); without, a black image")
    parser.add_argument("--out", help="file for the features, to be read with torch.load")
    flags = parser.parse_args()
    model = load()
    if flags.images:
        from PIL import Image

        batch = torch.stack([preprocess(Image.open(path)) for path in flags.images])
    else:
        batch = preprocess(torch.zeros(3, SIZE, SIZE, dtype=torch.uint8))[None]
    with torch.no_grad():
        outputs = model(batch)
    for name, values in outputs.items():
        print(name, list(values.shape), f"mean {values.mean().item():.6g}")
    if flags.out:
        torch.save({"images": flags.images, **outputs}, flags.out)


if __name__ == "__main__":
    main()
