/** The keys of a step. */
import type { Architecture } from "../../elastic/architecture.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Encoder } from "../../nn/encoder.ts";
import { gatherRows } from "../../tensor/ops/gather_rows.ts";
import { l2Normalise } from "../../tensor/ops/l2_normalise.ts";
import { Tape } from "../../tensor/tape.ts";
import { Tensor } from "../../tensor/tensor.ts";
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

/** Processes that train together: each makes the keys of a part of the batch. */
export interface KeyPeers {
  readonly rank: number;
  readonly size: number;
  /** The rows of all, one rank after the other, [size * N, D]; the caller releases them. */
  gatherRows(gpu: Gpu, rows: Tensor): Promise<Tensor>;
}

/** Keys of a batch: those of this process's part of it, and those of all. */
interface StepKeySet {
  readonly own: Tensor;
  readonly all: Tensor;
}

/**
 * One set of keys at the largest architecture; or, with the naive teacher, one for each architecture. Then too only the
 * first set joins the queue: the largest architecture's, unless the sandwich leaves it out.
 */
export class StepKeys {
  readonly #sets: { architecture: Architecture; keys: StepKeySet }[] = [];

  constructor(
    readonly encoder: Encoder,
    readonly view: ViewBatch,
    readonly batchnormGroups: number,
    readonly peers?: KeyPeers,
  ) {}

  /** The keys of an architecture for this process's part of the batch, made when they are first asked for, in its order. */
  async of(architecture: Architecture): Promise<Tensor> {
    const known = this.#sets.find((set) => set.architecture === architecture);
    const keys = known?.keys ?? await this.#make(architecture);
    if (!known) this.#sets.push({ architecture, keys });
    return keys.own;
  }

  async #make(architecture: Architecture): Promise<StepKeySet> {
    const { encoder, view: { images, positions }, batchnormGroups, peers } = this;
    const { gpu } = encoder.weights;
    using tape = new Tape(gpu, false);
    const embedded = embed(encoder, tape, images, architecture, batchnormGroups);
    const ordered = (rows: Tensor) => tape.keep(positions ? gatherRows(tape, rows, positions) : rows);
    if (!peers) {
      const all = ordered(embedded);
      return { own: all, all };
    }
    const gathered = await peers.gatherRows(gpu, embedded);
    const all = positions ? ordered(gathered) : gathered;
    if (positions) gathered.release();
    // A copy: kernels bind memory at multiples of 256 bytes alone.
    const own = Tensor.create(gpu, embedded.shape);
    gpu.stream.copy(all.slice(peers.rank * own.length, own.shape), own);
    return { own, all };
  }

  /** The set that was made first, of the whole batch. */
  get first(): Tensor {
    return this.#sets[0].keys.all;
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    for (const { keys: { own, all } } of this.#sets) {
      all.release();
      if (own !== all) own.release();
    }
  }
}
