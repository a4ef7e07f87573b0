/**
 * A detector's ONNX graphs in ONNX Runtime, with what their metadata say between them, detect what Scion detects; and so does
 * a program in another language that knows the documentation alone: `deno task interop`.
 */
import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { writeDetectorOnnx } from "../../src/finetune/detection/onnx_files.ts";
import { type AnchorSettings, gridAnchors } from "../../src/nn/detection/anchors.ts";
import { boxCount, type Boxes } from "../../src/nn/detection/boxes.ts";
import { detect, type DetectionRule } from "../../src/nn/detection/detections.ts";
import { joinRegions } from "../../src/nn/detection/detector.ts";
import type { DetectorNetwork } from "../../src/nn/detection/detector_network.ts";
import { detectObjects, type MaskedDetections, type PaddedImages } from "../../src/nn/detection/infer.ts";
import { type ProposalRule, selectProposals } from "../../src/nn/detection/proposals.ts";
import { type LevelRule, pyramidLevels } from "../../src/nn/detection/pyramid_levels.ts";
import type { OnnxRuntime } from "../../src/host/onnx_runtime.ts";
import { describeOnnxFile } from "../../src/store/onnx/describe.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { roiAlign } from "../../src/tensor/ops/roi_align.ts";
import type { RoiSampling } from "../../src/tensor/ops/roi_align_table.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { smallDetector } from "../finetune/detection/small_detector.ts";
import { assertClose, gpuTest, randomValues, relativeError } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import { type FeatureMaps, findOnnxRuntime, findPython, type HostTensor, onnxFeatures } from "./peers.ts";

const tolerance = 1e-4;

/** Batches of one and of two images of several sizes. */
const batches: readonly PaddedImages[] = [
  { sizes: [{ height: 96, width: 96 }], padded: { height: 96, width: 96 } },
  { sizes: [{ height: 90, width: 150 }, { height: 120, width: 101 }], padded: { height: 128, width: 160 } },
];

/** Noise on waves, so that places differ, with zeros beside the images. */
function draw({ sizes, padded }: PaddedImages): HostTensor {
  const shape = [sizes.length, 3, padded.height, padded.width];
  const data = randomValues(shape.reduce((a, b) => a * b), 5).map((noise, at) => {
    const x = at % padded.width, row = Math.floor(at / padded.width);
    const y = row % padded.height, image = Math.floor(row / padded.height / 3);
    const { height, width } = sizes[image];
    return x < width && y < height ? noise + 2 * Math.sin(x / 9 + image) * Math.cos(y / 11) : 0;
  });
  return { shape, data };
}

/** What Scion's own network detects, and the outputs of each graph; those of heads for the regions that were detected. */
async function runOwn(network: DetectorNetwork, images: HostTensor, batch: PaddedImages) {
  const { gpu, detector } = network;
  using input = Tensor.from(gpu, images.data, images.shape);
  using tape = new Tape(gpu, false);
  const pass = network.pass({ tape, training: false });
  const taps = network.features(pass, input);
  const found = await detectObjects(detector, pass, taps, batch);
  const maps = detector.pyramid(pass, taps);
  const said = detector.propose(pass, maps);
  const regions = joinRegions(found.map(({ boxes }) => boxes));
  const { logits, codes } = detector.boxes(pass, maps, batch.sizes, regions);
  const outputs = {
    model: new Map([
      ...maps.map((map, at) => [`p${at + 2}`, map] as const),
      ...said.map(({ objectness }, at) => [`objectness${at + 2}`, objectness] as const),
      ...said.map(({ deltas }, at) => [`deltas${at + 2}`, deltas] as const),
    ]),
    boxes: new Map([["logits", logits], ["deltas", codes]]),
    masks: new Map(
      detector.settings.masks ? [["logits", detector.masks(pass, maps, batch.sizes, regions)]] : [],
    ),
  };
  const read = async (named: ReadonlyMap<string, Tensor>) => {
    const contents = await gpu.read(...named.values());
    return new Map([...named.keys()].map((name, at) => [name, new Float32Array(contents[at])]));
  };
  return {
    found,
    outputs: {
      model: await read(outputs.model),
      boxes: await read(outputs.boxes),
      masks: await read(outputs.masks),
    },
  };
}

/** Compares a graph's outputs; says how far they are apart. */
function compare(graph: string, found: FeatureMaps, expected: ReadonlyMap<string, Float32Array>): void {
  assertEquals([...found.keys()], [...expected.keys()]);
  for (const [name, values] of expected) assertClose(found.get(name)!.data, values, tolerance, name);
  const errors = [...expected].map(([name, values]) => relativeError(found.get(name)!.data, values));
  console.log(`${graph}.onnx: relative error ${Math.max(...errors)}`);
}

/** The metadata `postprocessing`. */
interface Postprocessing {
  readonly anchors: AnchorSettings;
  readonly proposals: ProposalRule;
  readonly levels: LevelRule;
  readonly boxes: DetectionRule & { readonly pool: RoiSampling };
  readonly masks?: { readonly pool: RoiSampling };
}

/** Graphs of a folder, with what runs them. */
interface OnnxDetector {
  readonly gpu: Gpu;
  readonly runtime: OnnxRuntime;
  readonly folder: string;
  readonly rules: Postprocessing;
}

/** Part `image` of so many equal ones. */
function partOf(values: Float32Array, image: number, images: number): Float32Array {
  const each = values.length / images;
  return values.subarray(image * each, (image + 1) * each);
}

/** What is proposed in each image. */
function propose({ rules }: OnnxDetector, maps: FeatureMaps, { sizes, padded }: PaddedImages): Boxes[] {
  const numbers = rules.anchors.sizes.map((_, at) => rules.levels.firstLevel + at);
  const grids = gridAnchors(
    rules.anchors,
    numbers.map((level) => {
      const [, , height, width] = maps.get(`p${level}`)!.shape;
      return { height, width };
    }),
    padded,
  );
  return sizes.map((size, image) => {
    const part = (name: string) => partOf(maps.get(name)!.data, image, sizes.length);
    const levels = numbers.map((level, at) => ({
      objectness: part(`objectness${level}`),
      deltas: part(`deltas${level}`),
      anchors: grids[at],
      anchorsPerPosition: rules.anchors.ratios.length,
    }));
    return selectProposals(levels, size, rules.proposals).boxes;
  });
}

/** Pools regions of each image out of the maps, and runs the graph of a head. */
async function runHead(
  { gpu, runtime, folder, rules }: OnnxDetector,
  head: "boxes" | "masks",
  maps: FeatureMaps,
  { sizes }: PaddedImages,
  regions: readonly Boxes[],
): Promise<FeatureMaps> {
  const { boxes, images } = joinRegions(regions);
  const highest = Math.max(...sizes.map(({ height }) => height));
  using tape = new Tape(gpu, false);
  const levels = Array.from({ length: rules.levels.levels }, (_, at) => {
    const { data, shape } = maps.get(`p${rules.levels.firstLevel + at}`)!;
    const scale = 2 ** Math.round(Math.log2(shape[2] / highest));
    return { features: Tensor.from(gpu, data, shape), scale };
  });
  const placed = { boxes, images, levels: pyramidLevels(boxes, rules.levels) };
  const pooled = roiAlign(tape, levels, placed, rules[head]!.pool);
  const input = { shape: pooled.shape, data: await pooled.read() };
  const [outputs] = await onnxFeatures(runtime, `${folder}/${head}.onnx`, [input]);
  return outputs;
}

/** Detects with ONNX Runtime in place of Scion's network. */
async function detectByOnnx(
  detector: OnnxDetector,
  maps: FeatureMaps,
  batch: PaddedImages,
): Promise<MaskedDetections[]> {
  const { rules } = detector;
  const proposals = propose(detector, maps, batch);
  const said = await runHead(detector, "boxes", maps, batch, proposals);
  let first = 0;
  const found = proposals.map((regions, image): MaskedDetections => {
    const [from, to] = [first, first += boxCount(regions)];
    const rows = (name: string) => {
      const { data, shape: [, columns] } = said.get(name)!;
      return data.subarray(from * columns, to * columns);
    };
    return detect(regions, rows("logits"), rows("deltas"), batch.sizes[image], rules.boxes);
  });
  if (!rules.masks) return found;
  const masks = await runHead(detector, "masks", maps, batch, found.map(({ boxes }) => boxes));
  const { data, shape: [regions, classes] } = masks.get("logits")!;
  let region = 0;
  return found.map((one) => ({
    ...one,
    masks: Array.from(
      one.labels,
      (label) =>
        partOf(partOf(data, region++, regions), label, classes).map((value) => 1 / (1 + Math.exp(-value))),
    ),
  }));
}

/** Detects by docs/detection.md, in another language. */
async function detectByDocumentation(
  python: string,
  folder: string,
  images: HostTensor,
  { sizes }: PaddedImages,
): Promise<MaskedDetections[]> {
  const [input, output] = [`${folder}/images.safetensors`, `${folder}/found.safetensors`];
  await writeSafetensors(input, [
    ["images", { dtype: "F32", ...images }],
    ["sizes", {
      dtype: "I32",
      shape: [sizes.length, 2],
      data: Int32Array.from(sizes.flatMap(({ height, width }) => [height, width])),
    }],
  ]);
  const script = new URL("detector_onnx_check.py", import.meta.url).pathname;
  const args = [script, "--folder", folder, "--images", input, "--out", output];
  const { success, stderr } = await new Deno.Command(python, { args }).output();
  assert(success, new TextDecoder().decode(stderr));
  const { tensors } = await readSafetensors(output);
  return sizes.map((_, image) => {
    const of = (name: string) => tensors.get(`${name}${image}`)!.data as Float32Array<ArrayBuffer>;
    const [scores, masks] = [of("scores"), tensors.get(`masks${image}`)];
    return {
      boxes: of("boxes"),
      scores,
      labels: Int32Array.from(of("labels")),
      ...masks && {
        masks: Array.from(
          scores,
          (_, at) => partOf(masks.data as Float32Array<ArrayBuffer>, at, scores.length).slice(),
        ),
      },
    };
  });
}

/** Compares detections; says how far they are apart. */
function compareDetections(
  peer: string,
  found: readonly MaskedDetections[],
  expected: readonly MaskedDetections[],
): void {
  expected.forEach(({ boxes, scores, labels, masks }, image) => {
    const other = found[image];
    assert(labels.length > 10);
    assertEquals(other.labels, labels, peer);
    const errors = [relativeError(other.boxes, boxes), relativeError(other.scores, scores)];
    assertEquals(other.masks?.length, masks?.length, peer);
    masks?.forEach((mask, at) => errors.push(relativeError(other.masks![at], mask)));
    const most = Math.max(...errors);
    console.log(
      `${peer}: ${labels.length} detections of ${new Set(labels).size} classes, relative error ${most}`,
    );
    assert(most <= tolerance, `${peer}, image ${image}`);
  });
}

const cases = [
  { what: "a box for each class", head: "faster-rcnn", agnostic: false },
  { what: "one box for all classes", head: "faster-rcnn", agnostic: true },
  { what: "masks", head: "mask-rcnn", agnostic: false },
] as const;

for (const { what, head, agnostic } of cases) {
  gpuTest(`${head}, ${what}, detects in ONNX Runtime what it detects in Scion`, async (gpu) => {
    const runtime = await findOnnxRuntime();
    if (!runtime) return;
    const python = await findPython("numpy, onnxruntime");
    if (!python) console.log("skipped: Python's onnxruntime is not here");
    const { network, model } = await smallDetector(gpu, head, { agnostic });
    await withFolder(async (folder) => {
      const [path] = await writeDetectorOnnx(folder, model);
      const rules: Postprocessing = JSON.parse((await describeOnnxFile(path)).metadata.postprocessing);
      for (const batch of batches) {
        const images = draw(batch);
        const [maps] = await onnxFeatures(runtime, path, [images]);
        const { found: expected, outputs } = await runOwn(network, images, batch);
        compare("model", maps, outputs.model);
        const detector = { gpu, runtime, folder, rules };
        const regions = expected.map(({ boxes }) => boxes);
        for (const graph of ["boxes", ...rules.masks ? ["masks"] as const : []] as const) {
          compare(graph, await runHead(detector, graph, maps, batch, regions), outputs[graph]);
        }
        const found = await detectByOnnx(detector, maps, batch);
        compareDetections("Scion's decisions", found, expected);
        if (!python) continue;
        compareDetections("numpy", await detectByDocumentation(python, folder, images, batch), expected);
      }
    });
    network.release();
  });
}
