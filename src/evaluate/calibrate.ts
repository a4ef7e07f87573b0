/** Batchnorm statistics of one subnet, taken anew from images. */
import type { Encoder } from "../nn/encoder.ts";
import { Statistics } from "../nn/weights.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { Tape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Runs images through a subnet in training mode and averages mean and variance of every batchnorm over the batches,
 * each weighted with its number of images. The weights' own statistics are a mixture over all the architectures that
 * training visited and fit none of them.
 *
 * @param batches images [N, 3, H, W], normalised; released here
 * @returns the statistics; the caller releases them
 */
export async function recalibrate(
  encoder: Encoder,
  architecture: Architecture,
  batches: AsyncIterable<Tensor> | Iterable<Tensor>,
): Promise<Statistics> {
  const { gpu } = encoder.weights;
  const statistics = new Statistics(gpu, encoder.shapes);
  try {
    statistics.reset();
    let seen = 0;
    for await (using images of batches) {
      seen += images.shape[0];
      using tape = new Tape(gpu, false);
      const pass = encoder.pass({
        tape,
        training: true,
        batchnormGroups: 1,
        batchnormMomentum: images.shape[0] / seen,
        statistics,
      });
      encoder.features(pass, images, architecture);
      await gpu.finish();
    }
  } catch (error) {
    // An interruption, most often.
    statistics.release();
    throw error;
  }
  return statistics;
}
