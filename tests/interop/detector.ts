/**
 * A Mask R-CNN on a ResNet-50 with Scion's weights loads into torchvision's `maskrcnn_resnet50_fpn`, strictly, and both detect
 * the same: `deno task interop`.
 */
import { assert, assertEquals } from "@std/assert";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { Detector } from "../../src/nn/detection/detector.ts";
import { detectObjects } from "../../src/nn/detection/infer.ts";
import { pasteMask } from "../../src/nn/detection/paste.ts";
import { maskRcnnSettings } from "../../src/nn/detection/settings.ts";
import { joinWeights } from "../../src/nn/detection/torchvision_names.ts";
import { Encoder } from "../../src/nn/encoder.ts";
import type { HostWeights } from "../../src/nn/onnx_graph.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { elements, type Shape } from "../../src/shape.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest } from "../helpers.ts";
import { findPython } from "./peers.ts";

const mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225];
const sizes = [{ height: 128, width: 160 }, { height: 128, width: 144 }];
const padded = sizes[0];

/** Values in [-bound, bound), quickly made: there are 44 million. */
function spread(length: number, bound: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed | 1;
  return Float32Array.from({ length }, () => {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    return bound * state / 2 ** 31;
  });
}

/** Weights such that every layer counts and no layer's output grows beyond the next one's. */
function values(name: string, shape: Shape, seed: number): Float32Array<ArrayBuffer> {
  const length = elements(shape);
  if (shape.length > 1) {
    // Logits far enough apart that rounding does not change an order, and not so far that a sigmoid in float32 makes them equal.
    const strength = /cls_score|cls_logits/.test(name) ? 0.03 : /bbox_pred/.test(name) ? 0.03 : 1;
    return spread(length, strength * Math.sqrt(6 / elements(shape.slice(1))), seed);
  }
  const around = (middle: number, bound: number) =>
    spread(length, bound, seed).map((value) => middle + value);
  if (name.endsWith("running_var")) return around(1, 0.3);
  // The last batchnorm of each residual branch.
  if (/bn3\.weight$/.test(name)) return around(0.3, 0.1);
  return /(bn\d|downsample\.1)\.weight$/.test(name) ? around(1, 0.3) : around(0, 0.1);
}

function fill(tensors: Iterable<[name: string, tensor: Tensor]>, seed: number): HostWeights {
  return new Map([...tensors].map(([name, tensor], at) => {
    const data = values(name, tensor.shape, 7919 * (seed + at));
    tensor.write(data);
    return [name, { shape: tensor.shape, data }];
  }));
}

const python = await findPython();

gpuTest("a Mask R-CNN detects what torchvision's detects with its weights", async (gpu) => {
  if (!python) {
    console.log("torchvision is not installed: not compared");
    return;
  }
  const space = new SearchSpace({
    block: "bottleneck",
    stem: { kind: "7x7", widths: [64] },
    widths: [[64], [128], [256], [512]],
    depths: [[3], [4], [6], [3]],
    strides: [1, 2, 2, 2],
    named: {},
  });
  const encoder = new Encoder(gpu, new ElasticResNet(space), undefined, false);
  const detector = new Detector(gpu, [256, 512, 1024, 2048], maskRcnnSettings(5), false);
  const backbone = new Map([
    ...fill(encoder.weights.values.entries(), 1),
    ...fill(encoder.statistics.arena.entries(), 1000),
  ]);
  const heads = fill(detector.weights.values.entries(), 2000);
  const pixels = sizes.map(({ height, width }, image) =>
    spread(3 * height * width, 0.5, 31 + image).map((value, at) =>
      // Noise on waves, so that places differ.
      0.5 + 0.4 * value + 0.3 * Math.sin(at % width / 9 + image) * Math.cos(Math.floor(at / width) / 11)
    )
  );
  const folder = await Deno.makeTempDir();
  try {
    const dtype = "F32" as const;
    await writeSafetensors(
      `${folder}/model`,
      [...joinWeights({ backbone, heads })].map(([name, { shape, data }]) =>
        [name, { dtype, shape, data: Float32Array.from(data) }] as const
      ),
    );
    await writeSafetensors(
      `${folder}/images`,
      sizes.map(({ height, width }, image) =>
        [`image${image}`, { dtype, shape: [3, height, width], data: pixels[image] }] as const
      ),
    );
    const script = new URL("detector_check.py", import.meta.url).pathname;
    const args = [
      script,
      "--model",
      `${folder}/model`,
      "--images",
      `${folder}/images`,
      "--out",
      `${folder}/found`,
    ];
    const { success, stderr } = await new Deno.Command(python, { args }).output();
    assert(success, new TextDecoder().decode(stderr));
    const { tensors } = await readSafetensors(`${folder}/found`);

    const plane = padded.height * padded.width;
    const batch = new Float32Array(2 * 3 * plane);
    sizes.forEach(({ height, width }, image) =>
      pixels[image].forEach((value, at) => {
        const channel = Math.floor(at / height / width), y = Math.floor(at / width) % height, x = at % width;
        batch[(3 * image + channel) * plane + y * padded.width + x] = (value - mean[channel]) / std[channel];
      })
    );
    const pass = encoder.pass({ tape: new Tape(gpu, false), training: false, batchnormGroups: 1 });
    const images = Tensor.from(gpu, batch, [2, 3, padded.height, padded.width]);
    const names = ["c2", "c3", "c4", "c5"];
    const features = encoder.features(pass, images, space.max, names).taps;
    const detections = await detectObjects(detector, pass, names.map((tap) => features.get(tap)!), {
      sizes,
      padded,
    });
    detections.forEach(({ boxes, scores, labels, masks }, image) => {
      const peer = (name: string) => tensors.get(`${name}${image}`)!.data as Float32Array;
      console.log(
        `image ${image}: ${scores.length} detections of ${new Set(labels).size} classes, scores ${
          scores[0]
        } to ${scores.at(-1)}`,
      );
      assert(scores.length > 10);
      assertEquals([...labels], Array.from(peer("labels"), Number));
      assertClose(scores, peer("scores"), 1e-4, "scores");
      assertClose(boxes, peer("boxes"), 5e-4, "boxes");
      const { height, width } = sizes[image];
      const whole = new Float32Array(labels.length * height * width);
      masks!.forEach((mask, at) => {
        const pasted = pasteMask(mask, boxes.subarray(4 * at, 4 * at + 4), sizes[image]);
        pasted.values.forEach((value, place) => {
          const y = pasted.y + Math.floor(place / pasted.width), x = pasted.x + place % pasted.width;
          whole[(at * height + y) * width + x] = value;
        });
      });
      assertClose(whole, peer("masks"), 1e-3, "masks");
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
