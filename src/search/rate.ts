/** How fast this adapter runs a candidate: a short probe, from which the time of a whole search is estimated. */
import type { Gpu } from "../gpu/device.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { macs } from "../elastic/costs.ts";
import { imageShape, unitsOf } from "../elastic/network.ts";
import { Tensor } from "../tensor/tensor.ts";
import { NetworkRunner } from "./runner.ts";

/** MACs of a probe on a software driver, which runs some 10 to 30 GMAC/s. */
const softwareMacs = 2e10;

/**
 * MACs per second of an architecture as a search runs it, with batch statistics and without scoring.
 *
 * @param encoder its weights do not matter
 * @param batch images of a batch; fewer are taken on a software driver when they would take long
 */
export async function measureRate(
  gpu: Gpu,
  encoder: Encoder,
  architecture: Architecture,
  imageSize: number,
  batch: number,
): Promise<number> {
  const { network } = encoder;
  const perImage = macs(network, architecture, imageSize);
  const images = gpu.facts.software
    ? Math.max(1, Math.min(batch, Math.floor(softwareMacs / perImage)))
    : batch;
  const input = Tensor.zeros(gpu, imageShape(network, imageSize, images));
  const runner = new NetworkRunner(encoder, [input], "batch");
  const run = async (): Promise<number> => {
    const started = performance.now();
    let state = runner.start();
    for (const { unit } of unitsOf(network, architecture)) {
      const before = state;
      state = runner.run(before, unit);
      runner.releaseState(before);
    }
    runner.releaseState(state);
    await gpu.finish();
    return (performance.now() - started) / 1000;
  };
  try {
    await run(); // compiles kernels
    return perImage * images / await run();
  } finally {
    runner.release();
    input.release();
  }
}
