/**
 * Supervised training of a network with a classifier: cross-entropy of the logits of one view of each image. Every
 * architecture of a step learns the same labels; gradients add up.
 */
import type { Gpu } from "../../gpu/device.ts";
import { ShapeError } from "../../errors.ts";
import { Encoder, type GivenValues, type HeadDefinition } from "../../nn/encoder.ts";
import type { Network } from "../../nn/network.ts";
import { softmaxCrossEntropy } from "../../tensor/ops/softmax.ts";
import { Tape } from "../../tensor/tape.ts";
import { NetworkObjective } from "../network_objective.ts";
import type { EncoderObjective, ObjectiveInput } from "../objective.ts";

/** What supervised training is built with. */
export interface SupervisedDefinition {
  /** Logits of the classifier. */
  readonly classes: number;
  /** Of the weights that are not given. */
  readonly seed: number;
}

/** The classifier: one layer on the pooled features, called as torchvision calls it. */
export function classifierHead(classes: number): HeadDefinition {
  return { name: "fc", kind: "linear", hidden: 0, dimension: classes };
}

/** A network and its classifier, both trained. */
export class Supervised extends NetworkObjective<Encoder> implements EncoderObjective {
  /** Allocates; {@linkcode initialise} or a checkpoint gives it values. */
  constructor(gpu: Gpu, network: Network, readonly definition: SupervisedDefinition) {
    super(new Encoder(gpu, network, classifierHead(definition.classes), true), "encoder.");
  }

  /** What is not given starts as PyTorch's layers do: the classifier uniform within 1 / sqrt(features). */
  async initialise(given?: GivenValues): Promise<void> {
    await this.encoder.initialise(this.definition.seed, { head: "uniform", lastBatchnorm: 1 }, given);
  }

  async record({ views: [{ images }], architectures, losses, labels }: ObjectiveInput): Promise<void> {
    const { gpu, encoder } = this;
    if (!labels) throw new ShapeError("supervised training needs labels");
    for (const [index, architecture] of architectures.entries()) {
      await gpu.stream.breathe();
      using tape = new Tape(gpu, true);
      const pass = encoder.pass({ tape, training: true, batchnormGroups: 1 });
      const { pooled } = encoder.features(pass, images, architecture);
      const loss = softmaxCrossEntropy(tape, encoder.project(pass, pooled), labels);
      gpu.stream.copy(loss, losses.slice(index, []));
      tape.backward(loss);
      await gpu.stream.breathe();
    }
  }
}
