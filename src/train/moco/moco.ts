/**
 * Momentum contrast over an elastic network: MoCo v2 (Chen et al. 2020) whose query encoder takes several architectures in
 * turn while its key encoder stays at the largest (DATA, CVPR 2022). A step:
 *
 *   1. keys = normalise(project(momentum encoder(view 2))), once, at the largest architecture;
 *   2. for each architecture: query from view 1, InfoNCE against keys and queue; gradients add up;
 *   3. the optimiser's update; 4. one step of the moving average; 5. the keys join the queue, once.
 *
 * With self-distillation, the term that POA (ECCV 2024) adds: each architecture but the first also matches the first one's
 * distribution over the queue, from the same view, without a gradient to the first:
 *
 *   loss = InfoNCE + selfDistillation * cross-entropy(softmax(first query queue^T / T), softmax(query queue^T / T))
 *
 * Up to the update, nothing changes but gradients and running statistics.
 */
import type { Gpu } from "../../gpu/device.ts";
import { turn } from "../../interrupt.ts";
import { Arena } from "../../nn/arena.ts";
import { Encoder, type GivenValues, type HeadDefinition, type Initialisation } from "../../nn/encoder.ts";
import type { Network } from "../../nn/network.ts";
import { purpose, Random } from "../../random.ts";
import { distributionCrossEntropy, softmaxTargets } from "../../tensor/ops/distribution.ts";
import { add, scale } from "../../tensor/ops/elementwise.ts";
import { matmul } from "../../tensor/ops/matmul.ts";
import { infoNce } from "../../tensor/ops/softmax.ts";
import { emaStep, enqueue } from "../../tensor/ops/update.ts";
import { Tape } from "../../tensor/tape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { NamedSource, Objective, ObjectiveInput, ViewOrder } from "../objective.ts";
import { embed, StepKeys } from "./keys.ts";

/** Settings of momentum contrast. */
export interface MocoOptions {
  /** Keys in the queue of negatives. */
  readonly queue: number;
  /** Of the key encoder's moving average. */
  readonly momentum: number;
  readonly temperature: number;
  /** Architecture of the key encoder: always the largest, or the query's own. */
  readonly teacher: "largest" | "same-architecture";
  /** Groups of the batch with batchnorm statistics of their own. */
  readonly batchnormGroups: number;
  /** Whether the keys' batch is shuffled, so that its groups differ from the queries'. */
  readonly shuffle: boolean;
  /** Weight of the term that matches the first architecture's distribution; 0 for none. */
  readonly selfDistillation: number;
}

/** What momentum contrast is built with; what is left out is as MoCo v2 has it. */
export interface MocoDefinition {
  /** Default: 2048 hidden features, 128 dimensions. */
  readonly head?: HeadDefinition;
  readonly initialisation?: Initialisation;
  readonly moco?: Partial<MocoOptions>;
  /** Of weights, queue and shuffles; default 1. */
  readonly seed?: number;
}

const published: Required<MocoDefinition> & { readonly moco: MocoOptions } = {
  head: { kind: "mlp", hidden: 2048, dimension: 128 },
  initialisation: { head: "kaiming", lastBatchnorm: 0 },
  moco: {
    queue: 65_536,
    momentum: 0.999,
    temperature: 0.2,
    teacher: "largest",
    batchnormGroups: 1,
    shuffle: true,
    selfDistillation: 0,
  },
  seed: 1,
};

/** Momentum contrast: two encoders and the queue of keys, on the device. */
export class MomentumContrast implements Objective {
  readonly definition: typeof published;
  /** The network that is trained. */
  readonly encoder: Encoder;
  /** Its moving average, which makes the keys. */
  readonly momentumEncoder: Encoder;
  /** [queue, dimension], rows of length one. */
  readonly queue: Tensor;
  /** `queue_pointer`: row of the queue that the next key goes to. */
  readonly counters = { queue_pointer: 0 };
  /** Both encoders' running statistics, and as they were before the present step. */
  readonly #statistics: readonly { now: Arena; before: Arena }[];
  #pointerBefore = 0;
  /** Of a recorded step whose update is still to come. */
  #keys: StepKeys | undefined;

  /** Allocates; {@linkcode initialise} or a checkpoint gives it values. */
  constructor(readonly gpu: Gpu, readonly network: Network, definition: MocoDefinition = {}) {
    this.definition = { ...published, ...definition, moco: { ...published.moco, ...definition.moco } };
    const { head, moco } = this.definition;
    this.encoder = new Encoder(gpu, network, head, true);
    this.momentumEncoder = new Encoder(gpu, network, head, false);
    this.queue = Tensor.create(gpu, [moco.queue, head.dimension]);
    this.#statistics = [this.encoder, this.momentumEncoder].map(({ statistics: { arena } }) => ({
      now: arena,
      before: new Arena(gpu, arena.layout),
    }));
  }

  get sources(): readonly NamedSource[] {
    return [
      ["encoder_q.", this.encoder.weights.values],
      ["encoder_q.", this.encoder.statistics.arena],
      ["encoder_k.", this.momentumEncoder.weights.values],
      ["encoder_k.", this.momentumEncoder.statistics.arena],
      ["queue", this.queue],
    ];
  }

  /** New or given weights in both encoders, a queue of random directions. */
  async initialise(given?: GivenValues): Promise<void> {
    const { seed, initialisation } = this.definition;
    await this.encoder.initialise(seed, initialisation, given);
    this.momentumEncoder.copyFrom(this.encoder);
    this.queue.write(await randomDirections(this.queue.shape[0], this.queue.shape[1], seed));
    this.counters.queue_pointer = 0;
  }

  /** The queries' order is the batch's; the keys' another, where batchnorm groups see a difference. */
  viewOrders(batch: Uint32Array, step: number): readonly ViewOrder[] {
    const { moco, seed } = this.definition;
    if (!moco.shuffle || moco.batchnormGroups === 1) return [{ batch }, { batch }];
    const order = new Random(seed, purpose.keyShuffle, step).permutation(batch.length);
    const positions = new Uint32Array(batch.length);
    order.forEach((image, position) => positions[image] = position);
    return [{ batch }, { batch: order.map((image) => batch[image]), positions }];
  }

  beginStep(): void {
    this.#pointerBefore = this.counters.queue_pointer;
    this.#statistics.forEach(({ now, before }) => before.copyFrom(now));
  }

  undoStep(): void {
    this.#dropKeys();
    this.counters.queue_pointer = this.#pointerBefore;
    this.#statistics.forEach(({ now, before }) => now.copyFrom(before));
  }

  async record({ views: [query, key], architectures, losses }: ObjectiveInput): Promise<void> {
    const { gpu, encoder, queue, definition: { moco } } = this;
    this.#dropKeys();
    const keys = this.#keys = new StepKeys(this.momentumEncoder, key, moco.batchnormGroups);
    let targets: Tensor | undefined;
    try {
      for (const [index, architecture] of architectures.entries()) {
        const own = keys.of(moco.teacher === "largest" ? this.network.space.max : architecture);
        await gpu.stream.breathe();
        using tape = new Tape(gpu, true);
        const embedded = embed(encoder, tape, query.images, architecture, moco.batchnormGroups);
        const contrast = infoNce(tape, embedded, own, queue, moco.temperature);
        const loss = targets ? add(tape, contrast, this.#distillation(tape, embedded, targets)) : contrast;
        gpu.stream.copy(loss, losses.slice(index, []));
        if (moco.selfDistillation > 0 && architectures.length > 1) targets ??= this.#targets(embedded);
        tape.backward(loss);
        await gpu.stream.breathe();
      }
    } finally {
      targets?.release();
    }
  }

  afterUpdate(): void {
    const { gpu, encoder, momentumEncoder, counters, definition: { moco } } = this;
    encoder.weights.values.chunks.forEach((value, chunk) =>
      emaStep(gpu, value, momentumEncoder.weights.values.chunks[chunk], moco.momentum)
    );
    counters.queue_pointer = enqueue(gpu, this.#keys!.first, this.queue, counters.queue_pointer);
    this.#dropKeys();
  }

  release(): void {
    this.#dropKeys();
    for (const { before } of this.#statistics) before.release();
    this.encoder.release();
    this.momentumEncoder.release();
    this.queue.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** The first architecture's distribution over the queue, [B, queue]; the caller owns it. */
  #targets(query: Tensor): Tensor {
    const { gpu, queue, definition: { moco } } = this;
    using tape = new Tape(gpu, false);
    const logits = matmul(tape, query.detach(), queue, { transposeB: true });
    return tape.keep(softmaxTargets(tape, logits, moco.temperature));
  }

  #distillation(tape: Tape, query: Tensor, targets: Tensor): Tensor {
    const { queue, definition: { moco } } = this;
    const logits = matmul(tape, query, queue, { transposeB: true });
    const loss = distributionCrossEntropy(tape, logits, targets, moco.temperature);
    return scale(tape, loss, moco.selfDistillation);
  }

  #dropKeys(): void {
    this.#keys?.release();
    this.#keys = undefined;
  }
}

async function randomDirections(
  rows: number,
  dimension: number,
  seed: number,
): Promise<Float32Array<ArrayBuffer>> {
  const values = new Float32Array(rows * dimension);
  for (let row = 0; row < rows; row++) {
    const random = new Random(seed, purpose.queue, row);
    const direction = Array.from({ length: dimension }, () => random.normal());
    const length = Math.hypot(...direction);
    values.set(direction.map((value) => value / length), row * dimension);
    if (row % 1024 === 1023) await turn();
  }
  return values;
}
