/** How many images an evaluation batch may have. */
import type { Architecture } from "../elastic/architecture.ts";
import { type ElasticNetwork, imageShape, unitsOf } from "../elastic/network.ts";
import { traceUnit } from "../elastic/unit.ts";
import type { Gpu } from "../gpu/device.ts";
import { elements } from "../shape.ts";

const mostImages = 256;
/** Most bytes of one feature map; a block needs a few of them at once. */
const mapBytes = 2 ** 28;

/** The most values that one image has in any feature map of a subnet. */
function largestMap(network: ElasticNetwork, architecture: Architecture, imageSize: number): number {
  let largest = 0;
  let shape = imageShape(network, imageSize);
  for (const { unit } of unitsOf(network, architecture)) {
    const { calls, output } = traceUnit(unit, shape);
    for (const call of calls) largest = Math.max(largest, elements(call.output));
    shape = output;
  }
  return largest;
}

/** As many images as keep the device busy, but not more than it can bind and hold. */
export function evaluationBatchSize(
  gpu: Gpu,
  network: ElasticNetwork,
  architecture: Architecture,
  imageSize: number,
): number {
  const bytes = 4 * largestMap(network, architecture, imageSize);
  return Math.max(1, Math.min(mostImages, Math.floor(Math.min(mapBytes, gpu.pool.limit) / bytes)));
}
