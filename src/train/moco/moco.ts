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
 * Another term may stand beside it, from the same pass:
 *
 *   loss = weight * (InfoNCE + …) + term.weight * term
 *
 * Up to the update, nothing changes but gradients and running statistics.
 */
import type { Gpu } from "../../gpu/device.ts";
import { turn } from "../../interrupt.ts";
import type { Encoder, GivenValues, HeadDefinition, Initialisation } from "../../nn/encoder.ts";
import type { Pass } from "../../nn/layers.ts";
import type { Network } from "../../nn/network.ts";
import { purpose, Random } from "../../random.ts";
import { distributionCrossEntropy, softmaxTargets } from "../../tensor/ops/distribution.ts";
import { add, scale } from "../../tensor/ops/elementwise.ts";
import { l2Normalise } from "../../tensor/ops/l2_normalise.ts";
import { matmul } from "../../tensor/ops/matmul.ts";
import { infoNce } from "../../tensor/ops/softmax.ts";
import { enqueue } from "../../tensor/ops/update.ts";
import { Tape } from "../../tensor/tape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { MomentumPair } from "../momentum_pair.ts";
import type { EncoderObjective, NamedSource, ObjectiveInput, ViewOrder } from "../objective.ts";
import type { LossTerm } from "../term.ts";
import { type KeyPeers, StepKeys } from "./keys.ts";

/** Settings of momentum contrast. */
export interface MocoOptions {
  /** Keys in the queue of negatives. */
  readonly queue: number;
  /** Of the key encoder's moving average. */
  readonly momentum: number;
  readonly temperature: number;
  /** Architecture of the key encoder: always the largest, or the query's own. */
  readonly teacher: "largest" | "same-architecture";
  /** Groups of the batch, or of this process's part of it, with batchnorm statistics of their own. */
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

/** A term beside the contrast, and how much the contrast weighs then. */
export interface MocoCompany {
  /** The objective releases it. */
  readonly term: LossTerm;
  readonly weight: number;
}

/** Momentum contrast: two encoders and the queue of keys, on the device. */
export class MomentumContrast implements EncoderObjective {
  readonly definition: typeof published;
  /** Names of the terms: `moco` and that of the other one, where there is one. */
  readonly terms?: readonly string[];
  readonly #pair: MomentumPair;
  /** [queue, dimension], rows of length one. */
  readonly queue: Tensor;
  /** `queue_pointer`: row of the queue that the next key goes to. */
  readonly counters = { queue_pointer: 0 };
  #pointerBefore = 0;
  /** Of a recorded step whose update is still to come. */
  #keys: StepKeys | undefined;

  /**
   * Allocates; {@linkcode initialise} or a checkpoint gives it values.
   *
   * @param peers processes that train with this one, each on a part of every batch with statistics of its own
   */
  constructor(
    readonly gpu: Gpu,
    readonly network: Network,
    definition: MocoDefinition = {},
    readonly company?: MocoCompany,
    readonly peers?: KeyPeers,
  ) {
    this.definition = { ...published, ...definition, moco: { ...published.moco, ...definition.moco } };
    const { head, moco } = this.definition;
    this.#pair = new MomentumPair(gpu, network, company ? [head, company.term.head] : [head]);
    this.queue = Tensor.create(gpu, [moco.queue, head.dimension]);
    if (company) this.terms = ["moco", company.term.name];
  }

  /** The network that is trained. */
  get encoder(): Encoder {
    return this.#pair.encoder;
  }

  /** Its moving average, which makes the keys. */
  get momentumEncoder(): Encoder {
    return this.#pair.average;
  }

  get sources(): readonly NamedSource[] {
    return [...this.#pair.sources, ["queue", this.queue], ...this.company?.term.sources ?? []];
  }

  /** New or given weights in both encoders, a queue of random directions. */
  async initialise(given?: GivenValues): Promise<void> {
    const { seed, initialisation } = this.definition;
    await this.encoder.initialise(seed, initialisation, given);
    this.momentumEncoder.copyFrom(this.encoder);
    this.company?.term.begin(this.encoder);
    this.queue.write(await randomDirections(this.queue.shape[0], this.queue.shape[1], seed));
    this.counters.queue_pointer = 0;
  }

  /** The queries' order is the batch's; the keys' another, where batchnorm groups see a difference. */
  viewOrders(batch: Uint32Array, step: number): readonly ViewOrder[] {
    const { moco, seed } = this.definition;
    if (!moco.shuffle || moco.batchnormGroups * (this.peers?.size ?? 1) === 1) return [{ batch }, { batch }];
    const order = new Random(seed, purpose.keyShuffle, step).permutation(batch.length);
    const positions = new Uint32Array(batch.length);
    order.forEach((image, position) => positions[image] = position);
    return [{ batch }, { batch: order.map((image) => batch[image]), positions }];
  }

  beginStep(): void {
    this.#pointerBefore = this.counters.queue_pointer;
    this.#pair.beginStep();
  }

  undoStep(): void {
    this.#dropStep();
    this.counters.queue_pointer = this.#pointerBefore;
    this.#pair.undoStep();
  }

  async record(input: ObjectiveInput): Promise<void> {
    const { gpu, encoder, queue, company, definition: { moco } } = this;
    const { views: [query, key], architectures, losses } = input;
    this.#dropStep();
    const keys = this.#keys = new StepKeys(this.momentumEncoder, key, moco.batchnormGroups, this.peers);
    company?.term.prepare(input);
    let targets: Tensor | undefined;
    try {
      for (const [index, architecture] of architectures.entries()) {
        const own = await keys.of(moco.teacher === "largest" ? this.network.space.max : architecture);
        await gpu.stream.breathe();
        using tape = new Tape(gpu, true);
        const pass = encoder.pass({ tape, training: true, batchnormGroups: moco.batchnormGroups });
        const { pooled } = encoder.features(pass, query.images, architecture);
        const embedded = l2Normalise(tape, encoder.project(pass, pooled));
        const contrast = infoNce(tape, embedded, own, queue, moco.temperature);
        const alone = targets ? add(tape, contrast, this.#distillation(tape, embedded, targets)) : contrast;
        const loss = company ? this.#join(company, alone, pass, pooled, index, input) : alone;
        gpu.stream.copy(loss, losses.slice(index, []));
        if (moco.selfDistillation > 0 && architectures.length > 1) targets ??= this.#targets(embedded);
        tape.backward(loss);
        await gpu.stream.breathe();
      }
    } finally {
      targets?.release();
    }
    company?.term.finish();
  }

  afterUpdate(): void {
    const { gpu, counters, definition: { moco } } = this;
    this.#pair.averageWeights(moco.momentum);
    counters.queue_pointer = enqueue(gpu, this.#keys!.first, this.queue, counters.queue_pointer);
    this.#dropStep();
  }

  release(): void {
    this.#dropStep();
    this.company?.term.release();
    this.#pair.release();
    this.queue.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** The weighted sum of both terms, each of which is told as it is. */
  #join(
    { term, weight }: MocoCompany,
    contrast: Tensor,
    pass: Pass,
    pooled: Tensor,
    index: number,
    { architectures, terms }: ObjectiveInput,
  ): Tensor {
    const { tape } = pass;
    const other = term.loss(this.encoder, pass, pooled);
    [contrast, other].forEach((loss, row) => {
      if (terms) this.gpu.stream.copy(loss, terms.slice(row * architectures.length + index, []));
    });
    return add(tape, scale(tape, contrast, weight), scale(tape, other, term.weight));
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

  #dropStep(): void {
    this.company?.term.finish();
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
