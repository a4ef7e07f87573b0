/** Weights that exist become a supernet: the largest network is the file's, slices begin with what counts. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Config } from "../../src/config/schema.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { SpaceDefinition } from "../../src/elastic/search_space.ts";
import { ConfigurationError, DataError } from "../../src/errors.ts";
import { orderOfFile } from "../../src/extract/channel_order.ts";
import { extractSubnet } from "../../src/extract/extract.ts";
import { uploadModel } from "../../src/extract/model_file.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { configuredNetwork } from "../../src/nn/configured_network.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import { type InitialWeights, readInitialWeights } from "../../src/pretrain/init/initial_weights.ts";
import { openWeightsFile } from "../../src/store/open_weights.ts";
import { readSafetensors, type TensorData, writeSafetensors } from "../../src/store/safetensors.ts";
import { evaluateFeatures } from "../extract/encoders.ts";
import { assertClose, gpuTest } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";

const golden = new URL("../golden/pth/", import.meta.url).pathname;
const basicFile = `${golden}basic.pth`, bottleneckFile = `${golden}wrapped.pth`;

/** Spaces whose largest architectures are those of the files. */
const basic: SpaceDefinition = {
  block: "basic",
  stem: { kind: "7x7", widths: [4] },
  widths: [[4], [4, 8], [4, 8], [6, 12]],
  depths: [[1], [1, 2], [1], [1, 2]],
  strides: [1, 2, 2, 2],
};
const bottleneck: SpaceDefinition = {
  block: "bottleneck",
  stem: { kind: "7x7", widths: [2, 4] },
  widths: [[1, 2], [2, 4], [2, 4], [2, 4]],
  depths: [[1, 2], [1], [1], [1]],
  strides: [1, 2, 2, 2],
};

function configOf(file: string, space: SpaceDefinition, sha256?: string): Config {
  return parseConfig({
    space,
    data: { imageSize: 32 },
    head: { hidden: 8, dimension: 8 },
    initialisation: { weights: file, weightsSha256: sha256 },
    moco: { queue: 256 },
  }, "test");
}

async function initial(file: string, space: SpaceDefinition): Promise<InitialWeights> {
  return (await readInitialWeights(configOf(file, space)))!;
}

async function filled(gpu: Gpu, file: string, space: SpaceDefinition) {
  const config = configOf(file, space);
  const weights = (await readInitialWeights(config))!;
  const encoder = new Encoder(gpu, configuredNetwork(config), config.head, false);
  await encoder.initialise(1, config.initialisation, weights.values);
  return { encoder, weights };
}

/** Images, and PyTorch's features of them. */
async function expectedOf(name: "basic" | "wrapped") {
  const { tensors } = await readSafetensors(`${golden}features.safetensors`);
  const images = tensors.get("images")!, features = tensors.get(name)!;
  return {
    images: { shape: images.shape, data: images.data as Float32Array<ArrayBuffer> },
    features: { shape: features.shape, data: features.data as Float32Array },
  };
}

/** Columns of [rows, columns.length] in another order: column i is `columns[i]` of the given ones. */
function chooseColumns(data: ArrayLike<number>, stored: number, columns: ArrayLike<number>): number[] {
  return Array.from(
    { length: data.length / stored },
    (_, row) => Array.from(columns, (column) => data[row * stored + column]),
  ).flat();
}

for (
  const [what, file, space, name] of [
    ["basic blocks", basicFile, basic, "basic"],
    ["bottleneck blocks, as MoCo saves them", bottleneckFile, bottleneck, "wrapped"],
  ] as const
) {
  gpuTest(`the largest subnet gives PyTorch's features: ${what}`, async (gpu) => {
    const { images, features } = await expectedOf(name);
    const { encoder, weights } = await filled(gpu, file, space);
    const { space: { max } } = encoder.network;
    const found = (await evaluateFeatures(encoder, max, images)).get("features")!;
    const order = weights.streamOrders.at(-1)!;
    const sorted = chooseColumns(features.data, features.shape[1], order);
    assertClose(found.data, sorted, 1e-5, "features in the supernet's order");
    assert(order.some((channel, at) => channel !== at), "nothing was sorted");

    // A model that is cut out has them in the file's own order, and so have its feature maps.
    const input = { imageSize: 32, mean: [0, 0, 0], std: [1, 1, 1] } as const;
    const model = await extractSubnet(encoder, max, input, undefined, weights.streamOrders);
    const run = uploadModel(gpu, model);
    const cut = (await evaluateFeatures(run.encoder, run.network.space.max, images)).get("features")!;
    assertClose(cut.data, features.data, 1e-5, "features of the model");
    using source = await openWeightsFile(file);
    const prefix = name === "wrapped" ? "module.encoder_q." : "";
    for (const tensor of ["layer4.0.downsample.0.weight", "layer4.0.downsample.1.running_var"]) {
      const stored = await source.read(prefix + tensor);
      if (tensor.endsWith("running_var")) assertEquals(model.weights.get(tensor)!.data, stored, tensor);
      else assertEquals(model.weights.get(tensor)!.data.length, stored.length);
    }
    run.encoder.release();
    encoder.release();
  });
}

gpuTest("a smaller subnet computes the same in the supernet's order and in the file's", async (gpu) => {
  for (const [file, space] of [[basicFile, basic], [bottleneckFile, bottleneck]] as const) {
    const { images } = await expectedOf("basic");
    const { encoder, weights } = await filled(gpu, file, space);
    const { min } = encoder.network.space;
    const maps = await evaluateFeatures(encoder, min, images);
    const input = { imageSize: 32, mean: [0, 0, 0], std: [1, 1, 1] } as const;
    const model = await extractSubnet(encoder, min, input, undefined, weights.streamOrders);
    const run = uploadModel(gpu, model);
    const cut = await evaluateFeatures(run.encoder, run.network.space.max, images);
    const { data, shape: [, channels] } = maps.get("features")!;
    const restored = chooseColumns(data, channels, orderOfFile(weights.streamOrders.at(-1)!, channels));
    assertClose(cut.get("features")!.data, restored, 1e-6, "features");
    // The second stage's map, whose channels are planes.
    const map = maps.get("c3")!;
    const plane = map.shape[2] * map.shape[3];
    const order = orderOfFile(weights.streamOrders[1]!, map.shape[1]);
    const planes = Array.from({ length: map.data.length }, (_, at) => {
      const channel = Math.floor(at / plane) % map.shape[1];
      return map.data[at + (order[channel] - channel) * plane];
    });
    assertClose(cut.get("c3")!.data, planes, 1e-6, "c3");
    run.encoder.release();
    encoder.release();
  }
});

gpuTest("the projection head is the one that a run without the weights would have", async (gpu) => {
  const { encoder, weights } = await filled(gpu, basicFile, basic);
  const config = configOf(basicFile, basic);
  const fresh = new Encoder(gpu, configuredNetwork(config), config.head, false);
  await fresh.initialise(1, config.initialisation);
  for (const [name, tensor] of fresh.weights.values.entries()) {
    const same = (await tensor.read()).join() === (await encoder.weights.values.get(name).read()).join();
    assertEquals(same, name.startsWith("fc."), name);
    assertEquals(weights.values.has(name), !name.startsWith("fc."), name);
  }
  fresh.release();
  encoder.release();
});

/** Sums of absolute values for each index of the second dimension, the plain way. */
function readBy(data: Float32Array, [rows, columns, ...window]: readonly number[]): number[] {
  const inner = window.reduce((product, extent) => product * extent, 1);
  return Array.from({ length: columns }, (_, column) => {
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      for (let at = 0; at < inner; at++) sum += Math.abs(data[(row * columns + column) * inner + at]);
    }
    return sum;
  });
}

Deno.test("channels stand by the L1 norm of the weights that read them", async () => {
  const { values, streamOrders } = await initial(basicFile, basic);
  const norms = (name: string, shape: readonly number[]) => readBy(values.get(name)!, shape);
  const isSorted = (list: number[]) => list.every((value, at) => at === 0 || value <= list[at - 1] + 1e-5);
  // Within a block, and the residual stream of stage 2: read within it and by the next stage's block and projection.
  assert(isSorted(norms("layer2.0.conv2.weight", [8, 8, 3, 3])));
  const stream = [
    norms("layer2.1.conv1.weight", [8, 8, 3, 3]),
    norms("layer3.0.conv1.weight", [8, 8, 3, 3]),
    norms("layer3.0.downsample.0.weight", [8, 8, 1, 1]),
  ];
  assert(isSorted(stream[0].map((_, channel) => stream.reduce((sum, list) => sum + list[channel], 0))));
  // The last stage is read by the classifier, too.
  using file = await openWeightsFile(basicFile);
  const classifier = readBy(await file.read("fc.weight"), [5, 12]);
  const within = norms("layer4.1.conv1.weight", [12, 12, 3, 3]);
  assert(isSorted(within.map((norm, channel) => norm + classifier[streamOrders[3]![channel]])));
  // What is not sliced keeps its order.
  assertEquals(streamOrders[0], undefined);
  assertEquals(values.get("conv1.weight"), await file.read("conv1.weight"));
  assertEquals(values.get("layer1.0.conv1.weight"), await file.read("layer1.0.conv1.weight"));
});

Deno.test("the stem and a stage behind an identity keep one order, cut or not", async () => {
  using file = await openWeightsFile(basicFile);
  const stem = await file.read("conv1.weight");
  for (const widths of [[2, 4], [3]]) {
    const space = { ...basic, widths: [widths, ...basic.widths.slice(1)] };
    const { values, streamOrders, identities } = await initial(basicFile, space);
    assertEquals(identities, ["layer1.0.downsample.1"]);
    const order = Array.from(streamOrders[0]!);
    const rows = order.flatMap((channel) => [...stem.subarray(channel * 147, channel * 147 + 147)]);
    assertEquals([...values.get("conv1.weight")!.subarray(0, rows.length)], rows);
    const identity = Array.from({ length: 4 * order.length }, (_, at) => at % 5 === 0 ? 1 : 0);
    assertEquals([...values.get("layer1.0.downsample.0.weight")!], identity);
  }
});

Deno.test("a projection in the file and an identity in the space are refused", async () => {
  await withFolder(async (folder) => {
    const vectors = ["weight", "bias", "running_mean", "running_var"];
    const path = await changed(folder, {
      "layer1.0.downsample.0.weight": floats([4, 4, 1, 1]),
      ...Object.fromEntries(vectors.map((name) => [`layer1.0.downsample.1.${name}`, floats([4])])),
    });
    const { message } = await assertRejects(() => initial(path, basic), ConfigurationError);
    assertMatch(message, /stage 1 has no projection.*give space\.widths\[0\] more than one choice/);
    const elastic = { ...basic, widths: [[2, 4], ...basic.widths.slice(1)] };
    assertEquals((await initial(path, elastic)).identities, []);
  });
});

/** A file with tensors of the golden one changed; undefined removes one. */
async function changed(
  folder: string,
  changes: Record<string, TensorData | undefined>,
  rename: (name: string) => string = (name) => name,
): Promise<string> {
  using file = await openWeightsFile(basicFile);
  const tensors = new Map<string, TensorData>();
  for (const [name, { shape, floats }] of file.tensors) {
    if (floats) tensors.set(rename(name), { dtype: "F32", shape, data: await file.read(name) });
  }
  for (const [name, tensor] of Object.entries(changes)) {
    if (tensor) tensors.set(name, tensor);
    else tensors.delete(name);
  }
  await writeSafetensors(`${folder}/a.safetensors`, tensors);
  return `${folder}/a.safetensors`;
}

const floats = (shape: number[], value = 0.5): TensorData => ({
  dtype: "F32",
  shape,
  data: new Float32Array(shape.reduce((product, extent) => product * extent, 1)).fill(value),
});

Deno.test("without a classifier and a second block, the last stage is sorted by what writes it", async () => {
  await withFolder(async (folder) => {
    const second = { conv1: [12, 12, 3, 3], conv2: [12, 12, 3, 3] };
    const gone = [
      "fc.weight",
      "fc.bias",
      ...Object.keys(second).map((name) => `layer4.1.${name}.weight`),
      ...["bn1", "bn2"].flatMap((name) =>
        ["weight", "bias", "running_mean", "running_var"].map((tensor) => `layer4.1.${name}.${tensor}`)
      ),
    ];
    const path = await changed(folder, {
      ...Object.fromEntries(gone.map((name) => [name, undefined])),
      // Only the scales of two batchnorms tell the channels apart, and channel 7 has the largest.
      "layer4.0.conv2.weight": floats([12, 12, 3, 3]),
      "layer4.0.downsample.0.weight": floats([12, 8, 1, 1]),
      "layer4.0.bn2.running_var": floats([12], 1),
      "layer4.0.downsample.1.running_var": floats([12], 1),
      "layer4.0.bn2.weight": {
        ...floats([12]),
        data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, -20, 8, 9, 10, 11),
      } as TensorData,
      "layer4.0.downsample.1.weight": floats([12], 1),
    });
    const depths = [[1], [1, 2], [1], [1]];
    const { streamOrders } = await initial(path, { ...basic, depths });
    assertEquals(Array.from(streamOrders[3]!), [7, 11, 10, 9, 8, 6, 5, 4, 3, 2, 1, 0]);
  });
});

Deno.test("wider and deeper weights are cut to the most important channels and the first blocks", async () => {
  const narrow = {
    ...basic,
    widths: [[4], [4, 6], [8], [6]],
    depths: [[1], [1], [1], [1]],
  };
  const { values, streamOrders, notes } = await initial(basicFile, narrow);
  assertEquals([...streamOrders].map((order) => order?.length), [undefined, 6, undefined, 6]);
  assertMatch(notes[1], /64|4-4\.8\.8\.12-1\.2\.1\.2 the most important.*4-4\.6\.8\.6-1\.1\.1\.1/);
  using file = await openWeightsFile(basicFile);
  // Rows are chosen by the order of stage 4's stream, columns by that of stage 3's, which is whole.
  const projection = await file.read("layer4.0.downsample.0.weight");
  const rows = Array.from(streamOrders[3]!).flatMap((row) => [...projection.subarray(row * 8, row * 8 + 8)]);
  assertEquals([...values.get("layer4.0.downsample.0.weight")!], rows);
  assertEquals(values.has("layer4.1.conv1.weight"), false);
});

const misfits: readonly [what: string, space: SpaceDefinition, reason: RegExp][] = [
  ["other blocks", { ...basic, block: "bottleneck" }, /space\.block is "bottleneck"; set it to "basic"/],
  [
    "another stem",
    { ...basic, stem: { kind: "3x3", widths: [4] } },
    /space\.stem\.kind is "3x3"; set it to "7x7"/,
  ],
  [
    "another number of stages",
    { ...basic, widths: basic.widths.slice(0, 3), depths: basic.depths.slice(0, 3), strides: [1, 2, 2] },
    /describe 3 stages; describe 4/,
  ],
  [
    "a wider stage",
    { ...basic, widths: [[4], [4, 9], [8], [6, 12]] },
    /space\.widths\[1\] goes up to 9; give at most 8/,
  ],
  [
    "a deeper stage",
    { ...basic, depths: [[1], [3], [1], [1]] },
    /space\.depths\[1\] goes up to 3; give at most 2 blocks/,
  ],
  [
    "a wider stem",
    { ...basic, stem: { kind: "7x7", widths: [4, 8] } },
    /space\.stem\.widths goes up to 8; give at most 4 channels/,
  ],
];

for (const [what, space, reason] of misfits) {
  Deno.test(`a space that the weights do not fill is refused: ${what}`, async () => {
    const { message } = await assertRejects(() => initial(basicFile, space), ConfigurationError);
    assertMatch(message, reason);
    assert(message.includes(basicFile) && message.includes("4-4.8.8.12-1.2.1.2"), message);
  });
}

const wrongFiles: readonly [what: string, changes: Record<string, TensorData | undefined>, reason: RegExp][] =
  [
    ["a tensor is missing", { "layer2.1.bn2.bias": undefined }, /no tensor "layer2\.1\.bn2\.bias"/],
    ["a block is missing", { "layer2.0.conv1.weight": undefined }, /no tensor "layer2\.0\.conv1\.weight"/],
    ["another network", { "layer1.0.conv1.weight": undefined }, /holds no ResNet: it has no tensor/],
    ["squeeze and excitation", { "layer1.0.se.fc1.weight": floats([4, 4]) }, /"layer1\.0\.se\.fc1\.weight"/],
    [
      "grouped convolutions",
      { "layer2.0.conv2.weight": floats([8, 4, 3, 3]) },
      /is \[8, 4, 3, 3\], expected \[8, 8, 3, 3\]/,
    ],
    [
      "a batchnorm of other channels",
      { "bn1.weight": floats([5]) },
      /"bn1\.weight" is \[5\], expected \[4\]/,
    ],
    [
      "images of one channel",
      { "conv1.weight": floats([4, 1, 7, 7]) },
      /is \[4, 1, 7, 7\], expected \[4, 3, 7, 7\]/,
    ],
    [
      "another first convolution",
      { "conv1.weight": floats([4, 3, 5, 5]) },
      /\[4, 3, 5, 5\], is not 7x7 or 3x3/,
    ],
    [
      "a third convolution",
      { "layer3.0.conv3.weight": floats([8, 8, 1, 1]) },
      /"layer3\.0\.conv3\.weight", which does not/,
    ],
    ["no projection where one is needed", {
      ...Object.fromEntries(
        ["0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var"].map((name) => [
          `layer2.0.downsample.${name}`,
          undefined,
        ]),
      ),
    }, /identity does not fit stage 2/],
    ["not finite", { "layer2.0.conv2.weight": floats([8, 8, 3, 3], NaN) }, /holds NaN\..*did not diverge/],
    ["a negative variance", { "bn1.running_var": floats([4], -1) }, /a variance below 0/],
    [
      "whole numbers",
      { "bn1.bias": { dtype: "I32", shape: [4], data: new Int32Array(4) } },
      /holds whole numbers/,
    ],
    [
      "two networks",
      { "backbone.layer1.0.conv1.weight": floats([4, 4, 3, 3]) },
      /several ResNets, under "backbone\.", ""/,
    ],
  ];

for (const [what, changes, reason] of wrongFiles) {
  Deno.test(`a file is refused: ${what}`, async () => {
    await withFolder(async (folder) => {
      const path = await changed(folder, changes);
      const { message } = await assertRejects(() => initial(path, basic), DataError);
      assertMatch(message, reason);
      assert(message.includes(path), message);
    });
  });
}

Deno.test("prefixes that are known, others, and what is left out", async () => {
  await withFolder(async (folder) => {
    const plain = await initial(basicFile, basic);
    for (const prefix of ["module.", "backbone.", "encoder_q.", "module.encoder_q.", "model.backbone."]) {
      const { values, notes } = await initial(await changed(folder, {}, (name) => prefix + name), basic);
      assertEquals(values, plain.values, prefix);
      assertMatch(notes.at(-1)!, /not used of .*a\.safetensors: (\w+\.)*fc\.\*; the projection head is new/);
    }
    const path = await changed(folder, {}, (name) => `student.${name}`);
    const { message } = await assertRejects(() => initial(path, basic), DataError);
    assertMatch(message, /holds a ResNet under "student\.", which is not known/);
  });
});

Deno.test("another file than the configuration's checksum names is refused", async () => {
  const { config } = await initial(basicFile, basic);
  const { weightsSha256 } = config.initialisation;
  assertMatch(weightsSha256!, /^[0-9a-f]{64}$/);
  const same = await readInitialWeights(configOf(basicFile, basic, weightsSha256!));
  assertEquals(same!.config, config);
  const other = configOf(basicFile, basic, "0".repeat(64));
  await assertRejects(
    () => readInitialWeights(other),
    DataError,
    "is not the file whose SHA-256",
  );
});
