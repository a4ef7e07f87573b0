/**
 * FCNs over random backbones give the same logits in Scion, torchvision and ONNX Runtime, and PSPNets, which torchvision has
 * not, in ONNX Runtime: `deno task interop`. Not part of `deno task test`, which needs neither Python nor the network.
 */
import { assert, assertEquals } from "@std/assert";
import type { SpaceDefinition } from "../../src/elastic/search_space.ts";
import {
  readHeadedNetwork,
  writeSegmentationModel,
  writeSegmentationOnnx,
} from "../../src/finetune/segmentation/model_file.ts";
import { segmentationHead } from "../../src/finetune/segmentation/network.ts";
import { withOutputStride } from "../../src/nn/output_stride.ts";
import { HeadedNetwork } from "../../src/nn/headed_network.ts";
import { purpose, Random } from "../../src/random.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { bilinear } from "../../src/tensor/ops/bilinear.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { lively } from "../extract/encoders.ts";
import { smallConfig, smallModel } from "../finetune/segmentation/small_segmentation.ts";
import { assertClose, gpuTest, randomValues, relativeError } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { findOnnxRuntime, findPython, type HostTensor, onnxFeatures } from "./peers.ts";

const tolerance = 1e-4;

/** Sizes of images, none a multiple of an output stride. */
const sizes = {
  fcn: [[2, 3, 50, 67], [1, 3, 81, 44]],
  // Maps of 13 x 17, 9 x 6, 4 x 11, 5 x 5 and 1 x 1 at output stride 8, which 2, 3 and 6 do not all divide.
  psp: [[2, 3, 100, 131], [1, 3, 67, 44], [1, 3, 27, 85], [3, 3, 40, 36], [1, 3, 8, 5]],
};

const narrow = (block: SpaceDefinition["block"], depths: number[]): SpaceDefinition => ({
  ...{ block, stem: { kind: "7x7", widths: [8] }, strides: [1, 2, 2, 2], named: {} },
  ...{ widths: [[8], [12], [16], [20]], depths: depths.map((depth) => [depth]) },
});

interface InteropCase {
  readonly what: string;
  readonly definition: SpaceDefinition;
  readonly outputStride: number;
  readonly auxiliary: number;
  readonly head?: "psp";
  /** Settings of the head that are not torchvision's. */
  readonly settings?: object;
}

const cases: readonly InteropCase[] = [
  // torchvision's basic blocks cannot be dilated.
  {
    what: "basic blocks as ResNet-18",
    definition: narrow("basic", [2, 2, 2, 2]),
    outputStride: 32,
    auxiliary: 0.5,
  },
  ...[8, 16].map((outputStride) => ({
    what: "bottleneck blocks as ResNet-50, less deep",
    definition: narrow("bottleneck", [1, 1, 3, 2]),
    ...{ outputStride, auxiliary: 0.5 },
  })),
  {
    what: "bottleneck blocks, two convolutions joined with their input",
    definition: narrow("bottleneck", [1, 1, 1, 1]),
    ...{ outputStride: 8, auxiliary: 0.4, settings: { channels: 7, convolutions: 2, joinInput: true } },
  },
  {
    what: "bottleneck blocks",
    definition: narrow("bottleneck", [1, 1, 1, 1]),
    outputStride: 32,
    auxiliary: 0,
  },
  ...[8, 32].map((outputStride) => ({
    ...{ what: "basic blocks", definition: narrow("basic", [1, 1, 1, 1]), outputStride },
    ...{ auxiliary: 0.4, head: "psp" as const },
  })),
];

for (const { what, definition, outputStride, auxiliary, head = "fcn", settings = {} } of cases) {
  gpuTest(
    `${head} over ${what}, output stride ${outputStride}${auxiliary ? "" : ", no auxiliary classifier"}`,
    async (gpu) => {
      const model = await smallModel(gpu, definition);
      const network = withOutputStride(model.network, outputStride);
      const { segmentation } = smallConfig({
        segmentation: { outputStride, auxiliaryWeight: auxiliary, ...settings },
      });
      using headed = new HeadedNetwork(
        gpu,
        network,
        segmentationHead(network, head, 5, segmentation),
        false,
      );
      let index = 0;
      for (const arena of [headed.weights.values, headed.statistics.arena]) {
        for (const [name, { shape }] of arena.entries()) {
          arena.get(name).write(lively(name, shape, new Random(2, purpose.test, index++)));
        }
      }
      const classes = ["a", "b", "c", "d", "e"];
      const whole = await readHeadedNetwork(headed, { input: model.input, head, classes });
      const batches = sizes[head].map((shape, at): HostTensor => ({
        shape,
        data: randomValues(shape.reduce((a, b) => a * b), at + 1),
      }));
      const own: Float32Array[][] = [];
      for (const { shape, data } of batches) {
        using images = Tensor.from(gpu, data, shape);
        using tape = new Tape(gpu, false);
        const outputs = headed.run(headed.pass({ tape, training: false, batchnormGroups: 1 }), images);
        const full = outputs.map((logits) => bilinear(tape, logits, [shape[2], shape[3]]));
        own.push((await gpu.read(...full)).map((content) => new Float32Array(content)));
      }
      const compared = head === "fcn";
      const [python, runtime] = [compared ? await findPython() : undefined, await findOnnxRuntime()];
      await withFolder(async (folder) => {
        const [path, onnx] = [`${folder}/model.safetensors`, `${folder}/model.onnx`];
        await writeSegmentationModel(path, whole);
        await writeSegmentationOnnx(onnx, whole);
        if (compared && !python) {
          console.log("skipped: torchvision (apt install python3-torch python3-torchvision) is not here");
        }
        for (const [at, images] of batches.entries()) {
          if (!python) break;
          const [input, output] = [`${folder}/images.safetensors`, `${folder}/logits.safetensors`];
          await writeSafetensors(input, [["images", { dtype: "F32", ...images }]]);
          const script = new URL("segmentation_check.py", import.meta.url).pathname;
          const args = [script, "--model", path, "--images", input, "--out", output];
          const { success, stderr } = await new Deno.Command(python, { args }).output();
          assert(success, new TextDecoder().decode(stderr));
          const { tensors } = await readSafetensors(output);
          assertEquals(tensors.size, auxiliary ? 2 : 1);
          for (const [which, name] of ["logits", "auxiliary"].slice(0, tensors.size).entries()) {
            const { data } = tensors.get(name)!;
            assertClose(
              own[at][which],
              data as Float32Array,
              tolerance,
              `torchvision, ${name} of ${images.shape}`,
            );
          }
        }
        if (!runtime) console.log("skipped: onnxruntime-node (from npm) is not here");
        const results = runtime ? await onnxFeatures(runtime, onnx, batches) : [];
        results.forEach((found, at) => {
          assertEquals([...found.keys()], ["logits"]);
          const { shape, data } = found.get("logits")!;
          const [images, , ...sides] = batches[at].shape;
          assertEquals([...shape], [images, 5, ...sides]);
          const error = relativeError(own[at][0], data);
          console.log(`ONNX Runtime, images ${batches[at].shape}: relative error ${error}`);
          assert(error <= tolerance);
        });
      });
    },
  );
}
