/** The keys of a step. */
import type { Architecture } from "../../elastic/architecture.ts";
import type { Encoder } from "../../nn/encoder.ts";
import { gatherRows } from "../../tensor/ops/gather_rows.ts";
import { l2Normalise } from "../../tensor/ops/l2_normalise.ts";
import { Tape } from "../../tensor/tape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ViewBatch } from "../objective.ts";

/** Projections of images, rows of length one, [B, dimension]. */
function embed(
  encoder: Encoder,
  tape: Tape,
  images: Tensor,
  architecture: Architecture,
  batchnormGroups: number,
): Tensor {
  const pass = encoder.pass({ tape, training: true, batchnormGroups });
  return l2Normalise(tape, encoder.project(pass, encoder.features(pass, images, architecture).pooled));
}

/**
 * One set of keys at the largest architecture; or, with the naive teacher, one for each architecture. Then too only the
 * first set joins the queue: the largest architecture's, unless the sandwich leaves it out.
 */
export class StepKeys {
  readonly #sets: { architecture: Architecture; keys: Tensor }[] = [];

  constructor(readonly encoder: Encoder, readonly view: ViewBatch, readonly batchnormGroups: number) {}

  /** The keys of an architecture, made when they are first asked for, in the order of the batch. */
  of(architecture: Architecture): Tensor {
    const known = this.#sets.find((set) => set.architecture === architecture);
    if (known) return known.keys;
    const { encoder, view: { images, positions }, batchnormGroups } = this;
    using tape = new Tape(encoder.weights.gpu, false);
    const embedded = embed(encoder, tape, images, architecture, batchnormGroups);
    const keys = tape.keep(positions ? gatherRows(tape, embedded, positions) : embedded);
    this.#sets.push({ architecture, keys });
    return keys;
  }

  /** The set that was made first. */
  get first(): Tensor {
    return this.#sets[0].keys;
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    for (const { keys } of this.#sets) keys.release();
  }
}
