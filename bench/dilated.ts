/**
 * What dilation costs a 3x3 convolution: time undilated over time dilated, of the same shape, on the device.
 *
 *     deno run --allow-all bench/dilated.ts [ROUNDS] [FILTER]
 *
 * The dilations take turns, and what is shown is the median of each round's ratio: a busy machine disturbs both sides alike.
 */
import { formatTable } from "../src/cli/format.ts";
import type { Gpu } from "../src/gpu/device.ts";
import type { Profiler } from "../src/gpu/profiler.ts";
import { openGpu } from "../src/host/adapter.ts";
import { median } from "../src/median.ts";
import { convolution } from "../src/tensor/ops/convolution.ts";
import type { Tape } from "../src/tensor/tape.ts";
import { backwardCase, forwardCase } from "./operation.ts";
import { filledParameter, filledTensor } from "./operands.ts";
import type { PreparedCase } from "./report.ts";

/** Input channels, output channels, images, rows, columns: of an FCN on crops of 160x224, and of large ones. */
const shapes = [
  [64, 64, 8, 10, 14],
  [128, 128, 8, 10, 14],
  [64, 64, 8, 20, 28],
  [64, 128, 8, 20, 28],
  [128, 128, 8, 20, 28],
  [64, 64, 8, 16, 16],
  [256, 256, 1, 64, 64],
  [512, 512, 1, 64, 64],
] as const;

const passes = ["forward", "input gradient", "weight gradient"] as const;
const dilations = [1, 2, 4];

function prepare(
  gpu: Gpu,
  [inChannels, outChannels, images, height, width]: typeof shapes[number],
  pass: typeof passes[number],
  dilation: number,
): PreparedCase {
  const input = filledTensor(gpu, [images, inChannels, height, width]);
  const weight = filledParameter(gpu, [outChannels, inChannels, 3, 3], pass === "weight gradient");
  const operation = {
    inputs: pass === "input gradient" ? [input] : [],
    operands: [input, weight],
    apply: (tape: Tape) => convolution(tape, input, weight, { padding: dilation, dilation }),
  };
  return pass === "forward" ? forwardCase(gpu, operation) : backwardCase(gpu, operation);
}

async function secondsOf(gpu: Gpu, profiler: Profiler, { before, run }: PreparedCase): Promise<number> {
  if (before) {
    gpu.stream.profiler = undefined;
    before();
    await gpu.finish();
  }
  gpu.stream.profiler = profiler;
  run();
  await gpu.finish();
  return (await profiler.take()).reduce((sum, { seconds }) => sum + seconds, 0);
}

const [rounds = "9", filter = ""] = Deno.args;
const gpu = await openGpu();
const profiler = gpu.profile();
const rows = [["", "GFLOP/s", ...dilations.slice(1).map((dilation) => `dilation ${dilation}`)]];
for (const shape of shapes) {
  for (const pass of passes) {
    const [inChannels, outChannels, images, height, width] = shape;
    const name = `${inChannels}→${outChannels}, ${images} x ${height}x${width}, ${pass}`;
    if (!name.includes(filter)) continue;
    const cases = dilations.map((dilation) => prepare(gpu, shape, pass, dilation));
    const times = dilations.map((): number[] => []);
    for (let round = -1; round < Number(rounds); round++) {
      for (const [at, one] of cases.entries()) {
        const seconds = await secondsOf(gpu, profiler, one);
        // The first round compiles.
        if (round >= 0) times[at].push(seconds);
      }
    }
    for (const one of cases) one.release();
    const [undilated, ...dilated] = times;
    const flops = 2 * images * height * width * inChannels * outChannels * 9;
    rows.push([
      name,
      (flops / median(undilated) / 1e9).toFixed(1),
      ...dilated.map((seconds) => median(seconds.map((one, round) => undilated[round] / one)).toFixed(2)),
    ]);
  }
}
console.log(gpu.facts.description);
console.log(formatTable(rows, "lrrr"));
gpu.release();
