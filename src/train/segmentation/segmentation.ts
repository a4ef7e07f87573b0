/**
 * Semantic segmentation: cross-entropy of every pixel's class over logits that are interpolated to the labels' size, plus
 * that of the auxiliary classifiers with a weight. Full-size logits never exist.
 */
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { GivenValues } from "../../nn/encoder.ts";
import { HeadedNetwork, type TappedHead } from "../../nn/headed_network.ts";
import type { Network } from "../../nn/network.ts";
import { add, scale } from "../../tensor/ops/elementwise.ts";
import { pixelCrossEntropy } from "../../tensor/ops/pixel_cross_entropy.ts";
import { Tape } from "../../tensor/tape.ts";
import { NetworkObjective } from "../network_objective.ts";
import type { ObjectiveInput } from "../objective.ts";

/** What segmentation is built with. */
export interface SegmentationDefinition {
  /** Weight of the auxiliary classifier's loss; 0.5 in torchvision's reference, 0.4 in mmsegmentation. */
  readonly auxiliaryWeight: number;
  /** Label of pixels that count for nothing. */
  readonly ignore: number;
  /** Divide by the pixels that count, or by all. */
  readonly mean: "valid" | "all";
  /** Of the head's weights, and of dropout. */
  readonly seed: number;
}

/** A network with a head of segmentation, both trained. */
export class Segmentation extends NetworkObjective<HeadedNetwork> {
  /** Absent without an auxiliary classifier. */
  readonly terms?: readonly string[];

  /** Allocates; {@linkcode initialise} or a checkpoint gives it values. */
  constructor(gpu: Gpu, network: Network, head: TappedHead, readonly definition: SegmentationDefinition) {
    super(new HeadedNetwork(gpu, network, head, true), "network.");
    if (head.taps.length > 1) this.terms = ["pixels", "auxiliary"];
  }

  /** The backbone's values, which must be given, and a new head. */
  async initialise(given: GivenValues = new Map()): Promise<void> {
    await this.encoder.initialise(this.definition.seed, given);
  }

  /** @param input `labels` are [N, H, W], of the images' size; one architecture, the network's only one */
  async record({ views: [{ images }], losses, terms, labels }: ObjectiveInput): Promise<void> {
    const { gpu, encoder, definition: { auxiliaryWeight, ignore, mean, seed } } = this;
    if (!labels) throw new ShapeError("segmentation needs labels");
    await gpu.stream.breathe();
    using tape = new Tape(gpu, true);
    const dropout = { seed, step: this.step };
    const pass = encoder.pass({ tape, training: true, batchnormGroups: 1, dropout });
    const [logits, auxiliary] = encoder.run(pass, images);
    const main = pixelCrossEntropy(tape, logits, labels, { ignore, mean });
    if (terms) gpu.stream.copy(main, terms.slice(0, []));
    let loss = main;
    if (auxiliary) {
      const side = pixelCrossEntropy(tape, auxiliary, labels, { ignore, mean });
      if (terms) gpu.stream.copy(side, terms.slice(1, []));
      loss = add(tape, main, scale(tape, side, auxiliaryWeight));
    }
    gpu.stream.copy(loss, losses.slice(0, []));
    tape.backward(loss);
    await gpu.stream.breathe();
  }
}
