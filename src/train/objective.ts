/** What a network is trained for. The loop, checkpoints and the memory plan know an objective by this alone. */
import type { Architecture } from "../elastic/architecture.ts";
import type { Arena } from "../nn/arena.ts";
import type { TrainingImages } from "../nn/detection/losses.ts";
import type { Encoder, GivenValues } from "../nn/encoder.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Memory that a checkpoint holds: an arena under the prefix of its tensors' names, or a tensor under its own. */
export type NamedSource = readonly [name: string, source: Arena | Tensor];

/** One view of each image of a batch. */
export interface ViewBatch {
  /** [B, 3, H, W] */
  readonly images: Tensor;
  /**
   * Where each image of the batch lies in `images`, [B]; absent where the order is the batch's. Of processes that train
   * together each has a part of the images, and all positions: of the images of all, one rank after the other.
   */
  readonly positions?: Tensor;
}

/** Images of a view in an order of its own, and where each image of the batch is in it. */
export interface ViewOrder {
  readonly batch: Uint32Array;
  readonly positions?: Uint32Array<ArrayBuffer>;
}

/** What an objective records a step from. */
export interface ObjectiveInput {
  /** As many as {@linkcode Objective.viewOrders} asked for. */
  readonly views: readonly ViewBatch[];
  /** Architectures in the order in which they are trained; the gradients of all add up. */
  readonly architectures: readonly Architecture[];
  /** Receives the loss of each, [architectures]. */
  readonly losses: Tensor;
  /** Receives each term of each loss without its weight, [terms, architectures]; absent where nobody asks. */
  readonly terms?: Tensor | undefined;
  /** What a teacher says of each image of the batch, [B, D], in its order; for objectives that learn from one. */
  readonly targets?: Tensor | undefined;
  /** The class of each image of the batch, [B], in its order; for objectives that learn from labels. */
  readonly labels?: Tensor | undefined;
  /** What is on the images of the first view; for objectives that learn to detect. */
  readonly objects?: TrainingImages | undefined;
}

/** A loss over an elastic network, with all the state that it needs beside the weights. */
export interface Objective extends Disposable {
  /** The network that is trained: its weights have gradients. */
  readonly encoder: Pick<Encoder, "weights">;
  /** All that a checkpoint holds of it, on the device. */
  readonly sources: readonly NamedSource[];
  /** Whole numbers that a checkpoint holds besides, by name. */
  readonly counters: Record<string, number>;
  /** Names of the terms that the loss is a weighted sum of; absent where it has but one. */
  readonly terms?: readonly string[];
  /**
   * Draws what a run begins with.
   * @param given values of the backbone, which are taken as they are
   */
  initialise(given?: GivenValues): Promise<void>;
  /** The orders in which a step wants its batch's views. A function of its arguments alone. */
  viewOrders(batch: Uint32Array, step: number): readonly ViewOrder[];
  /** Keeps what {@linkcode record} changes beside gradients, so that a step that was dropped can be undone. */
  beginStep(): void;
  /** Puts everything back to the last {@linkcode beginStep}; nothing of the step's commands may be waiting. */
  undoStep(): void;
  /**
   * Records the losses and adds their gradients to those of the weights.
   * @throws the reason of the stream's interrupt, when it is aborted meanwhile
   */
  record(input: ObjectiveInput): Promise<void>;
  /** Records what follows the optimiser's update, e.g. a moving average. */
  afterUpdate(): void;
  /** Releases the memory; nothing may read it afterwards. */
  release(): void;
}

/** An objective over an encoder: what pretraining is made of. */
export interface EncoderObjective extends Objective {
  readonly encoder: Encoder;
  /** Its moving average, by which subnets are judged; absent where an objective keeps none. */
  readonly momentumEncoder?: Encoder;
}
