/**
 * Zero-cost scores: what can be said of an architecture without training anything. A score that needs a trained network
 * must beat them.
 */
import type { Architecture } from "../../elastic/architecture.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Encoder } from "../../nn/encoder.ts";
import type { Network } from "../../nn/network.ts";
import { purpose, Random } from "../../random.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { naswot } from "./naswot.ts";
import { synflow } from "./synflow.ts";

/** Names of the scores. */
export const zeroCostScores = ["naswot", "synflow"] as const;

/** A zero-cost score. */
export type ZeroCostScore = typeof zeroCostScores[number];

/** Initialisations that a score is the mean over. */
export const initialisations = 3;

/** Images of NASWOT's mini-batch, where there are as many and they fit; 128 and 64 are what is published. */
export const naswotImages = 64;

/**
 * Scores an architecture untrained: each score is the mean over {@linkcode initialisations} of that architecture alone, all
 * weights drawn anew, every batchnorm beginning with 1.
 *
 * @param images [N, 3, H, W], normalised, for NASWOT; kept
 * @param seed of the initialisations
 * @throws {ConfigurationError} when the architecture cannot be cut out
 */
export async function scoreUntrained(
  gpu: Gpu,
  network: Network,
  architecture: Architecture,
  images: Tensor,
  seed: number,
): Promise<Record<ZeroCostScore, number>> {
  const cut = network.cut(architecture) as Network;
  const random = new Random(seed, purpose.candidates, 4);
  const encoders: Encoder[] = [];
  try {
    for (let at = 0; at < initialisations; at++) {
      const encoder = new Encoder(gpu, cut, undefined, true);
      encoders.push(encoder);
      await encoder.initialise(random.word(), { head: "kaiming", lastBatchnorm: 1 });
    }
    const imageSize = images.shape[2];
    // SynFlow replaces the weights, so it comes last.
    return {
      naswot: mean(await naswot(encoders, architecture, images)),
      synflow: mean(await synflow(encoders, architecture, imageSize)),
    };
  } finally {
    for (const encoder of encoders) encoder.release();
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
