/** A loss that is added to another objective's, in each of its passes. */
import type { Encoder, HeadDefinition } from "../nn/encoder.ts";
import type { Pass } from "../nn/layers.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { NamedSource, ObjectiveInput } from "./objective.ts";

/** One term of a loss. It keeps nothing of a step but what {@linkcode prepare} makes and {@linkcode finish} drops. */
export interface LossTerm {
  /** What metrics call it. */
  readonly name: string;
  readonly weight: number;
  /** A head that the encoder gets for it. */
  readonly head: HeadDefinition;
  /** All that a checkpoint holds of it beside the encoder. */
  readonly sources: readonly NamedSource[];
  /** Takes the encoder as it is now as what the run begins with. */
  begin(encoder: Encoder): void;
  /** What is the same for all passes of a step. */
  prepare(input: ObjectiveInput): void;
  /**
   * The loss of one pass, without its weight.
   * @param pooled [N, C], of the pass
   * @returns a scalar
   */
  loss(encoder: Encoder, pass: Pass, pooled: Tensor): Tensor;
  /** Drops what {@linkcode prepare} made, if anything. */
  finish(): void;
  /** Releases the memory; nothing may read it afterwards. */
  release(): void;
}
