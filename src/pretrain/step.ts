/**
 * One step of supernet pretraining: MoCo v2 (Chen et al. 2020) whose query encoder takes several architectures in turn
 * while its key encoder stays at the largest (DATA, CVPR 2022). In order:
 *
 *   1. keys = normalise(project(momentum encoder(view 2))), once, at the largest architecture;
 *   2. for each pass of the sandwich: query from view 1 at the pass's architecture, InfoNCE against keys and queue,
 *      gradients added up over the passes;
 *   3. one optimiser step on all weights; 4. one step of the moving average; 5. the keys join the queue, once.
 *
 * All of it is recorded into the command stream; nothing is read back. Up to the optimiser's step, nothing changes but
 * gradients and running statistics: a step that is dropped before is undone by restoring the latter (`state.ts`).
 */
import type { Encoder } from "../nn/encoder.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { l2Normalise } from "../tensor/ops/l2_normalise.ts";
import { infoNce } from "../tensor/ops/softmax.ts";
import { gatherRows } from "../tensor/ops/gather_rows.ts";
import { emaStep, enqueue, sgdStep } from "../tensor/ops/update.ts";
import { Tape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { PretrainState } from "./state.ts";

/** What one step is given. */
export interface StepInput {
  /** View 1, [B, 3, H, W]. */
  queryImages: Tensor;
  /** View 2, [B, 3, H, W]; in shuffled order where `keyPositions` is given. */
  keyImages: Tensor;
  /** Position of each image's key in `keyImages`, [B]; absent when both views have one order. */
  keyPositions?: Tensor;
  /** The passes' architectures, in order. */
  architectures: readonly Architecture[];
  learningRate: number;
  /** Receives each pass's loss, [passes]. */
  losses: Tensor;
}

/**
 * Records a whole step and advances the state's counters.
 * @throws the reason of the stream's interrupt, when it is aborted meanwhile; nothing of the step is left then
 */
export async function recordStep(state: PretrainState, input: StepInput): Promise<void> {
  const { gpu, config, queryEncoder, momentumEncoder } = state;
  const { optimizer, moco } = config;
  using keysAt = new KeyCache(state, input);
  queryEncoder.weights.gradients?.clear();
  for (const [index, architecture] of input.architectures.entries()) {
    const keys = keysAt.for(moco.teacher === "largest" ? state.space.max : architecture);
    await gpu.stream.breathe();
    using tape = new Tape(gpu, true);
    const query = embed(queryEncoder, tape, input.queryImages, architecture, moco.batchnormGroups);
    const loss = infoNce(tape, query, keys, state.queue, moco.temperature);
    gpu.stream.copy(loss, input.losses.slice(index, []));
    tape.backward(loss);
    await gpu.stream.breathe();
  }

  gpu.stream.commit();
  const { values, gradients } = queryEncoder.weights;
  values.chunks.forEach((value, chunk) => {
    sgdStep(gpu, value, gradients!.chunks[chunk], state.momentum.chunks[chunk], {
      learningRate: input.learningRate,
      momentum: optimizer.momentum,
      weightDecay: optimizer.weightDecay,
    });
    emaStep(gpu, value, momentumEncoder.weights.values.chunks[chunk], moco.momentum);
  });
  state.queuePointer = enqueue(gpu, keysAt.first(), state.queue, state.queuePointer);
  state.step++;
}

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
 * The keys of a step: one set at the largest architecture; or, with the naive teacher, one for each pass. Then too only
 * the first pass's keys join the queue: the largest architecture's, unless the sandwich leaves it out.
 */
class KeyCache {
  readonly #sets: { architecture: Architecture; keys: Tensor }[] = [];

  constructor(readonly state: PretrainState, readonly input: StepInput) {}

  for(architecture: Architecture): Tensor {
    const known = this.#sets.find((set) => set.architecture === architecture);
    if (known) return known.keys;
    const { gpu, momentumEncoder, config } = this.state;
    using tape = new Tape(gpu, false);
    const embedded = embed(
      momentumEncoder,
      tape,
      this.input.keyImages,
      architecture,
      config.moco.batchnormGroups,
    );
    const { keyPositions } = this.input;
    const keys = tape.keep(keyPositions ? gatherRows(tape, embedded, keyPositions) : embedded);
    this.#sets.push({ architecture, keys });
    return keys;
  }

  first(): Tensor {
    return this.#sets[0].keys;
  }

  release(): void {
    for (const { keys } of this.#sets) keys.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
