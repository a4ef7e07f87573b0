/** How long a subnet takes for an image on the present adapter. */
import { median } from "../median.ts";
import type { Encoder } from "../nn/encoder.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { Tape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** A measurement lasts at least so long, so that the wait for the device (11 ms under Deno) matters little. */
const wantedSeconds = 0.15;
const rounds = 3;

/**
 * Median time of the backbone's forward pass in evaluation mode, in milliseconds per image. The first pass, which may
 * compile kernels, is not counted.
 *
 * @param images [N, 3, H, W]
 */
export async function measureLatency(
  encoder: Encoder,
  architecture: Architecture,
  images: Tensor,
): Promise<number> {
  const { gpu } = encoder.weights;
  const run = async (passes: number): Promise<number> => {
    const started = performance.now();
    for (let pass = 0; pass < passes; pass++) {
      using tape = new Tape(gpu, false);
      encoder.features(encoder.pass({ tape, training: false, batchnormGroups: 1 }), images, architecture);
      gpu.stream.submit();
    }
    await gpu.finish();
    return (performance.now() - started) / passes;
  };
  await run(1);
  const passes = Math.max(1, Math.ceil(1000 * wantedSeconds / await run(1)));
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await run(passes));
  return median(times) / images.shape[0];
}
