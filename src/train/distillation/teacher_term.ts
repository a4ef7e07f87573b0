/**
 * Learning from a teacher's features: the pooled features of every architecture go through one linear layer, of which a
 * narrower architecture reads the leading columns, and should point where the teacher's features of the same image point.
 * Feature distillation as in FitNets (Romero et al. 2015), at the pooled output, by the cosine.
 */
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Encoder, type HeadDefinition } from "../../nn/encoder.ts";
import type { Pass } from "../../nn/layers.ts";
import type { Network } from "../../nn/network.ts";
import { featureChannels } from "../../elastic/network.ts";
import { cosineLoss } from "../../tensor/ops/cosine_loss.ts";
import { l2Normalise } from "../../tensor/ops/l2_normalise.ts";
import { Tape } from "../../tensor/tape.ts";
import { expectShape, type Tensor } from "../../tensor/tensor.ts";
import type { NamedSource, ObjectiveInput } from "../objective.ts";
import type { LossTerm } from "../term.ts";

/** Settings of a teacher. */
export interface TeacherOptions {
  /**
   * Dimension of the features that every step is given as {@linkcode ObjectiveInput.targets}; or `self`: the teacher is the
   * network as the run begins with it, at its largest architecture, frozen, on the student's view.
   */
  readonly features: number | "self";
  /** Of this loss; default 1. */
  readonly weight?: number;
  /** Of a network that teaches itself: groups of the batch with batchnorm statistics of their own; default 1. */
  readonly batchnormGroups?: number;
}

/** The layer to the teacher's features, within each encoder. That to the network's own starts as the identity. */
export function teacherHead(network: Network, { features }: TeacherOptions): HeadDefinition {
  const own = features === "self";
  const dimension = own ? featureChannels(network, network.space.max) : features;
  return { name: "distillation", kind: "linear", hidden: 0, dimension, identity: own };
}

/** 1 - cosine to a teacher's features. */
export class TeacherTerm implements LossTerm {
  readonly name = "distillation";
  readonly weight: number;
  readonly head: HeadDefinition;
  /** The network that the run begins with, where it is the teacher. */
  readonly #frozen: Encoder | undefined;
  /** Of the present step, [B, D], rows of length one. */
  #directions: Tensor | undefined;

  constructor(readonly gpu: Gpu, readonly network: Network, readonly options: TeacherOptions) {
    this.weight = options.weight ?? 1;
    this.head = teacherHead(network, options);
    this.#frozen = options.features === "self" ? new Encoder(gpu, network, undefined, false) : undefined;
  }

  get sources(): readonly NamedSource[] {
    return this.#frozen ? [["teacher.", this.#frozen.weights.values]] : [];
  }

  begin(encoder: Encoder): void {
    this.#frozen?.copyBackboneFrom(encoder);
  }

  prepare({ views: [{ images }], targets }: ObjectiveInput): void {
    this.finish();
    using tape = new Tape(this.gpu, false);
    const features = this.#frozen ? this.#run(this.#frozen, tape, images) : targets;
    if (!features) throw new ShapeError("distillation: the step has no targets, the teacher's features");
    expectShape("distillation", "the targets", features.shape, [images.shape[0], this.head.dimension]);
    this.#directions = tape.keep(l2Normalise(tape, features));
  }

  loss(encoder: Encoder, pass: Pass, pooled: Tensor): Tensor {
    return cosineLoss(pass.tape, encoder.project(pass, pooled, this.head), this.#directions!);
  }

  finish(): void {
    this.#directions?.release();
    this.#directions = undefined;
  }

  release(): void {
    this.finish();
    this.#frozen?.release();
  }

  /** With the batch's statistics, as the student has them: so its largest architecture begins where the teacher is. */
  #run(frozen: Encoder, tape: Tape, images: Tensor): Tensor {
    const { batchnormGroups = 1 } = this.options;
    const pass = frozen.pass({ tape, training: true, batchnormGroups, batchnormMomentum: 0 });
    return frozen.features(pass, images, this.network.space.max).pooled;
  }
}
