/**
 * Loaders in PyTorch give the feature maps of Scion, and embed's files are read by NumPy: `deno task interop`, where
 * PyTorch, torchvision and NumPy are installed. ONNX files, too: those of Scion, and one that PyTorch wrote.
 */
import { assert, assertEquals } from "@std/assert";
import sharp from "sharp";
import { embedCommand } from "../../src/cli/embed.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { SearchSpace, type SpaceDefinition } from "../../src/elastic/search_space.ts";
import { extractSubnet } from "../../src/extract/extract.ts";
import { writeModel } from "../../src/extract/model_file.ts";
import { writeLoader } from "../../src/extract/pytorch_loader.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { purpose, Random } from "../../src/random.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { cliTest, createRun, runInProcess } from "../cli/run_command.ts";
import { resnet18 } from "../elastic/spaces.ts";
import { basicSpace, bottleneckSpace, evaluateFeatures, lively } from "../extract/encoders.ts";
import { assertClose, gpuTest, randomValues } from "../helpers.ts";
import { readNpz } from "../store/read_npz.ts";
import { withFolder } from "../store/with_folder.ts";
import { findPython } from "./peers.ts";

const tolerance = 1e-4;

/** Runs a Python program of this folder, or a text with `-c`. */
async function python(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command((await findPython())!, { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}

async function loaderOutputs(loader: string, ...args: string[]): Promise<Map<string, Float32Array>> {
  const out = `${loader}.safetensors`;
  const script = new URL("loader_check.py", import.meta.url).pathname;
  await python(script, "--loader", loader, "--out", out, ...args);
  const { tensors } = await readSafetensors(out);
  return new Map([...tensors].map(([name, { data }]) => [name, data as Float32Array]));
}

function encoderOf(gpu: Gpu, definition: SpaceDefinition, dilated?: boolean[]): Encoder {
  const network = new ElasticResNet(new SearchSpace(definition), dilated && { dilated });
  const encoder = new Encoder(gpu, network, undefined, false);
  let index = 0;
  for (const arena of [encoder.weights.values, encoder.statistics.arena]) {
    for (const [name, tensor] of arena.entries()) {
      tensor.write(lively(name, tensor.shape, new Random(2, purpose.test, index++)));
    }
  }
  return encoder;
}

const oddSpace: SpaceDefinition = {
  block: "bottleneck",
  stem: { kind: "3x3", widths: [5, 7] },
  widths: [[3, 5], [7, 11], [13]],
  depths: [[1, 2], [3], [1]],
  strides: [1, 2, 2],
  named: {},
};

const cases: {
  what: string;
  definition: SpaceDefinition;
  arch: string;
  dilated?: boolean[];
  torchvision?: true;
}[] = [
  { what: "smallest, basic blocks", definition: basicSpace, arch: "min" },
  { what: "basic blocks that keep a projection", definition: basicSpace, arch: "8-8.6.16-1.2.1" },
  { what: "bottleneck blocks", definition: bottleneckSpace, arch: "middle" },
  { what: "odd widths", definition: oddSpace, arch: "7-3.11.13-2.3.1" },
  { what: "dilated", definition: bottleneckSpace, arch: "max", dilated: [false, false, true, true] },
  { what: "ResNet-18", definition: resnet18, arch: "max", torchvision: true },
  {
    what: "ResNet-50's blocks, fewer of them",
    definition: { ...resnet18, block: "bottleneck", depths: [[1], [2], [1], [1]] },
    arch: "max",
    torchvision: true,
  },
];

const present = await findPython() !== undefined;

for (const { what, definition, arch, dilated, torchvision } of cases) {
  gpuTest(`a loader's outputs are Scion's: ${what}`, async (gpu) => {
    if (!present) return console.log("skipped: torchvision is not here");
    await withFolder(async (folder) => {
      const encoder = encoderOf(gpu, definition, dilated);
      const architecture = encoder.network.space.resolve(arch);
      const input = { imageSize: 33, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.25] } as const;
      const model = await extractSubnet(encoder, architecture, input, undefined);
      const file = `${folder}/odd name-1.safetensors`;
      await writeModel(file, model);
      const loader = await writeLoader(file, model);
      const images = { shape: [3, 3, 33, 33], data: randomValues(3 * 3 * 33 * 33, 9) };
      await writeSafetensors(`${folder}/images.safetensors`, [["images", { dtype: "F32", ...images }]]);
      const found = await loaderOutputs(loader, "--images", `${folder}/images.safetensors`);
      const expected = await evaluateFeatures(encoder, architecture, images);
      assertEquals(
        [...found.keys()].filter((name) => name !== "torchvision").sort(),
        [...expected.keys()].sort(),
      );
      for (const [name, { data }] of expected) assertClose(found.get(name)!, data, tolerance, name);
      assertEquals(found.has("torchvision"), torchvision ?? false);
      if (torchvision) {
        assertClose(found.get("torchvision")!, expected.get("features")!.data, tolerance, "torchvision");
      }
    });
  });
}

/** A folder of pictures of several sizes, larger than the network's input or smaller, one of them transparent. */
async function pictures(
  folder: string,
  sizes: readonly (readonly [width: number, height: number])[],
): Promise<void> {
  for (const [index, name] of ["b/2", "b/größe 1", "a/x", "a/y", "a/z"].entries()) {
    const [width, height] = sizes[index % sizes.length];
    const channels = name === "a/y" ? 4 : 3;
    const raw = Uint8Array.from(randomValues(width * height * channels, index), (value, at) => {
      // Half transparency is rounded otherwise by everybody.
      if (channels === 4 && at % 4 === 3) return value < 0 ? 0 : 255;
      return 128 + 60 * value + 60 * Math.sin(at / (7 + index));
    });
    await Deno.mkdir(`${folder}/${name[0]}`, { recursive: true });
    await sharp(raw, { raw: { width, height, channels } }).png().toFile(`${folder}/${name}.png`);
  }
}

async function succeed(command: Parameters<typeof runInProcess>[0], ...args: string[]): Promise<string> {
  const { status, err } = await runInProcess(command, args);
  assertEquals(status, 0, err);
  return err;
}

cliTest(
  "embed's features of pictures are those of the loader, and of ONNX Runtime; NumPy reads them",
  async (folder) => {
    if (!present) return console.log("skipped: torchvision is not here");
    await createRun(`${folder}/run`);
    await pictures(`${folder}/images`, [[50, 37], [16, 16], [10, 9], [33, 81], [17, 200]]);
    const data = ["--data", `folder:${folder}/images`];
    const extract = ["--run", `${folder}/run`, "--arch", "inner", ...data];
    await succeed(extractCommand, ...extract, "--out", `${folder}/m.safetensors`, "--loader");
    await succeed(extractCommand, ...extract, "--out", `${folder}/m.onnx`);
    await succeed(embedCommand, "--model", `${folder}/m.safetensors`, ...data, "--out", `${folder}/f.npz`);
    const found = await loaderOutputs(
      `${folder}/load_m.py`,
      ...["--features", `${folder}/f.npz`, "--root", `${folder}/images`],
    );
    assert(new Set(found.get("embedded")).size > 40, "the features vary");
    assertClose(found.get("features")!, found.get("embedded")!, tolerance, "the loader's");
    await succeed(embedCommand, "--model", `${folder}/m.onnx`, ...data, "--out", `${folder}/o.npz`);
    const features = async (file: string) => (await readNpz(file)).get("features")!.values as number[];
    assertClose(
      await features(`${folder}/o.npz`),
      await features(`${folder}/f.npz`),
      tolerance,
      "ONNX Runtime's",
    );
  },
);

cliTest("embed runs an .onnx that PyTorch wrote, of a fixed batch", async (folder) => {
  if (!present) return console.log("skipped: torchvision is not here");
  await pictures(`${folder}/images`, [[90, 71], [49, 60], [300, 200]]);
  await Deno.writeTextFile(
    `${folder}/export.py`,
    `
import glob, os, numpy, torch, torchvision
from PIL import Image
from torchvision import transforms
os.chdir(${JSON.stringify(folder)})
torch.manual_seed(1)
def opaque(image):
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
model = torchvision.models.resnet18()
model.fc = torch.nn.Identity()
model.eval()
torch.onnx.export(model, torch.zeros(2, 3, 48, 48), "m.onnx", input_names=["x"], output_names=["y"])
prepare = transforms.Compose([
    transforms.Resize(55), transforms.CenterCrop(48), transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
images = torch.stack([prepare(opaque(Image.open(path))) for path in sorted(glob.glob("images/*/*.png"))])
with torch.no_grad():
    numpy.savez("expected.npz", features=model(images).numpy())
`,
  );
  await python(`${folder}/export.py`);
  const err = await succeed(
    embedCommand,
    ...["--model", `${folder}/m.onnx`, "--data", `folder:${folder}/images`, "--out", `${folder}/f.csv`],
  );
  assert(err.includes("cropped to 48 x 48, mean 0.485,0.456,0.406"), err);
  const lines = (await Deno.readTextFile(`${folder}/f.csv`)).trimEnd().split("\n").slice(1);
  const found = lines.flatMap((line) => line.split(",").slice(2).map(Number));
  await python(
    "-c",
    `import numpy; numpy.load("${folder}/expected.npz")["features"].tofile("${folder}/expected.bin")`,
  );
  const expected = new Float32Array((await Deno.readFile(`${folder}/expected.bin`)).buffer);
  assertEquals(lines.map((line) => line.split(",")[0]), [
    "a/x.png",
    "a/y.png",
    "a/z.png",
    "b/2.png",
    "b/größe 1.png",
  ]);
  assertClose(found, expected, tolerance, "torchvision's");
});
