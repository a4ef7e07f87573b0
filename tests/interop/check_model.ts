/**
 * Compares an extracted model as Scion runs it with torchvision and ONNX Runtime:
 *
 *     deno run -A --no-lock tests/interop/check_model.ts subnet.safetensors
 */
import { readModel, uploadModel, writeModel } from "../../src/extract/model_file.ts";
import type { PlainModel } from "../../src/extract/model.ts";
import { writeOnnxModel } from "../../src/extract/onnx_model.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { evaluateFeatures } from "../extract/encoders.ts";
import { randomValues, relativeError } from "../helpers.ts";
import { withFolder } from "../store/with_folder.ts";
import {
  type FeatureMaps,
  findOnnxRuntime,
  findPython,
  type HostTensor,
  onnxFeatures,
  torchvisionFeatures,
} from "./peers.ts";

/** How far a feature map may be from a peer's: max |difference| / max |value|. */
export const tolerance = 1e-4;

/** Images per batch; more than one size shows that ONNX files take any. */
const batchSizes = [1, 7];

/** One feature map of one batch against one peer. */
export interface Comparison {
  readonly peer: "torchvision" | "ONNX Runtime";
  readonly batch: number;
  readonly name: string;
  readonly error: number;
}

/** What {@linkcode checkModel} found out. */
export interface Report {
  readonly comparisons: readonly Comparison[];
  /** Peers that are not installed. */
  readonly missing: readonly string[];
  /** Whether torchvision's resnet50 loads the file as it is; undefined without torchvision. */
  readonly resnet50: boolean | undefined;
}

function compare(
  peer: Comparison["peer"],
  batch: number,
  found: FeatureMaps,
  expected: FeatureMaps,
): Comparison[] {
  const names = [...expected.keys()];
  if (names.toSorted().join() !== [...found.keys()].toSorted().join()) {
    throw new Error(`${peer} gives ${[...found.keys()].join(", ")}; Scion gives ${names.join(", ")}`);
  }
  return names.map((name) => {
    const [one, other] = [found.get(name)!, expected.get(name)!];
    if (one.shape.join() !== other.shape.join()) throw new Error(`${peer}: ${name} has shape ${one.shape}`);
    return { peer, batch, name, error: relativeError(other.data, one.data) };
  });
}

/**
 * Writes the model in both formats, runs them elsewhere on the same random images, and compares.
 *
 * @param side of the images, in pixels
 * @param run Scion's own feature maps of these images
 */
export async function checkModel(
  model: PlainModel,
  side: number,
  run: (images: HostTensor) => Promise<FeatureMaps>,
): Promise<Report> {
  const batches = batchSizes.map((batch): HostTensor => ({
    shape: [batch, 3, side, side],
    data: randomValues(batch * 3 * side * side, batch),
  }));
  const own: FeatureMaps[] = [];
  for (const images of batches) own.push(await run(images));
  const [python, runtime] = [await findPython(), await findOnnxRuntime()];
  const comparisons: Comparison[] = [];
  const missing: string[] = [];
  let resnet50: boolean | undefined;
  await withFolder(async (folder) => {
    if (python) {
      await writeModel(`${folder}/model.safetensors`, model);
      for (const [index, images] of batches.entries()) {
        const result = await torchvisionFeatures(python, `${folder}/model.safetensors`, images, folder);
        resnet50 = result.resnet50;
        comparisons.push(...compare("torchvision", images.shape[0], result.features, own[index]));
      }
    } else missing.push("torchvision (apt install python3-torch python3-torchvision)");
    if (runtime) {
      await writeOnnxModel(`${folder}/model.onnx`, model);
      const results = await onnxFeatures(runtime, `${folder}/model.onnx`, batches);
      results.forEach((features, index) =>
        comparisons.push(...compare("ONNX Runtime", batches[index].shape[0], features, own[index]))
      );
    } else missing.push("onnxruntime-node (from npm)");
  });
  return { comparisons, missing, resnet50 };
}

/** One line per peer and batch, and what is missing. */
export function formatReport({ comparisons, missing, resnet50 }: Report): string {
  const lines = missing.map((peer) => `skipped: ${peer} is not here`);
  if (resnet50) lines.push("loads strictly into torchvision's resnet50");
  for (const { peer, batch, name, error } of comparisons) {
    const start = `${peer}, batch ${batch}:`;
    const index = lines.findIndex((line) => line.startsWith(start));
    if (index < 0) lines.push(`${start} ${name} ${error.toExponential(1)}`);
    else lines[index] += `, ${name} ${error.toExponential(1)}`;
  }
  return lines.join("\n");
}

if (import.meta.main) {
  const [path] = Deno.args;
  if (path === undefined) {
    console.error("usage: deno run -A --no-lock tests/interop/check_model.ts MODEL.safetensors");
    Deno.exit(2);
  }
  using gpu = await openGpu();
  const model = await readModel(path);
  const { encoder, network } = uploadModel(gpu, model);
  const report = await checkModel(
    model,
    model.input.imageSize,
    (images) => evaluateFeatures(encoder, network.space.max, images),
  );
  console.log(formatReport(report));
  Deno.exit(report.comparisons.every(({ error }) => error <= tolerance) ? 0 : 1);
}
