/** Backbone and heads with their weights: what MoCo calls an encoder. */
import { ShapeError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { purpose, Random } from "../random.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { featureChannels, weightsOf } from "../elastic/network.ts";
import type { Start } from "../elastic/unit.ts";
import { relu } from "../tensor/ops/elementwise.ts";
import { linear } from "../tensor/ops/linear.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { elements, type Shape } from "../shape.ts";
import type { Pass } from "./layers.ts";
import { type Features, type Network, runNetwork } from "./network.ts";
import { fillNormal, fillStart, fillUniform } from "./start_values.ts";
import { Statistics, Weights, type WeightShapes } from "./weights.ts";

/** A head on the pooled features; the `head` section of a configuration for the projection head. */
export interface HeadDefinition {
  /** Begins the names of its parameters; default `fc`. */
  readonly name?: string;
  readonly kind: "mlp" | "linear";
  /** Width of the mlp's hidden layer. */
  readonly hidden: number;
  /** Dimension of the projection. */
  readonly dimension: number;
  /** `linear`: starts as the identity instead of at random, whatever {@linkcode Initialisation} says. */
  readonly identity?: boolean;
}

const defaultHeadName = "fc";

function headShapes(
  { name = defaultHeadName, kind, hidden, dimension }: HeadDefinition,
  features: number,
): [name: string, shape: Shape][] {
  if (kind === "linear") {
    return [[`${name}.weight`, [dimension, features]], [`${name}.bias`, [dimension]]];
  }
  return [
    [`${name}.0.weight`, [hidden, features]],
    [`${name}.0.bias`, [hidden]],
    [`${name}.2.weight`, [dimension, hidden]],
    [`${name}.2.bias`, [dimension]],
  ];
}

/** How weights start; the `initialisation` section of a configuration. */
export interface Initialisation {
  readonly head: "kaiming" | "uniform";
  /** Weight of the last batchnorm of each residual branch. */
  readonly lastBatchnorm: number;
}

/** Values that weights start with, by their names and in full width. */
export type GivenValues = ReadonlyMap<string, Float32Array<ArrayBuffer>>;

/** How an encoder is run; see {@linkcode Pass}. */
export type PassOptions = Omit<Pass, "weights" | "statistics"> & { statistics?: Statistics };

/** An elastic network with weights on the device; with a projection head, unless it was cut out without one, or several. */
export class Encoder {
  readonly shapes: WeightShapes;
  readonly weights: Weights;
  readonly statistics: Statistics;

  readonly #starts = new Map<string, Start>();
  /** Weights of heads that start as the identity. */
  readonly #identities = new Set<string>();

  /**
   * @param head the projection head, whose output is what the network's features are compared by
   * @param trained whether gradients are kept
   * @param furtherHeads of other names
   */
  constructor(
    gpu: Gpu,
    readonly network: Network,
    readonly head: HeadDefinition | undefined,
    trained: boolean,
    furtherHeads: readonly HeadDefinition[] = [],
  ) {
    const { max } = network.space;
    const { parameters, statistics } = weightsOf(network, max);
    const shapes = new Map<string, Shape>();
    for (const [name, { shape, start }] of parameters) {
      shapes.set(name, shape);
      this.#starts.set(name, start);
    }
    for (const one of head ? [head, ...furtherHeads] : []) {
      for (const [name, shape] of headShapes(one, featureChannels(network, max))) shapes.set(name, shape);
      if (one.identity) this.#identities.add(`${one.name ?? defaultHeadName}.weight`);
    }
    this.shapes = { parameters: shapes, statistics };
    this.weights = new Weights(gpu, this.shapes, trained);
    this.statistics = new Statistics(gpu, this.shapes);
  }

  /**
   * Draws new weights: convolutions normal with variance 2 / (out kernel²) (He et al. 2015, fan out); the head's layers
   * normal with variance 2 / in and bias 0, or uniform within 1 / sqrt(in); batchnorm 1 and 0, but for the last of each
   * residual branch, which 0 makes start as its shortcut (Goyal et al. 2017). Takes a second for each two million values,
   * and lets the event loop have its turns.
   *
   * @param given values of parameters and running statistics that are taken as they are; the others are what they would be
   *   without
   */
  async initialise(seed: number, initialisation: Initialisation, given?: GivenValues): Promise<void> {
    let index = 0;
    for (const [name, tensor] of this.weights.values.entries()) {
      const random = new Random(seed, purpose.initialisation, index++);
      const known = given?.get(name);
      if (known) {
        tensor.write(known);
        continue;
      }
      const values = new Float32Array(elements(tensor.shape));
      const start = this.#starts.get(name);
      if (start === undefined) await this.#fillHead(name, values, initialisation, random);
      else await fillStart(values, tensor.shape, start, initialisation.lastBatchnorm, random);
      tensor.write(values);
    }
    this.statistics.reset();
    for (const [name, tensor] of this.statistics.arena.entries()) {
      const known = given?.get(name);
      if (known) tensor.write(known);
    }
  }

  async #fillHead(
    name: string,
    values: Float32Array,
    { head }: Initialisation,
    random: Random,
  ): Promise<void> {
    const layer = name.slice(0, name.lastIndexOf("."));
    const inputs = this.shapes.parameters.get(`${layer}.weight`)![1];
    if (this.#identities.has(`${layer}.weight`)) {
      if (name.endsWith(".weight")) { for (let at = 0; at < values.length; at += inputs + 1) values[at] = 1; }
    } else if (head === "uniform") await fillUniform(values, 1 / Math.sqrt(inputs), random);
    else if (name.endsWith(".weight")) await fillNormal(values, Math.sqrt(2 / inputs), random);
  }

  /** Copies weights and statistics of another encoder of the same shapes. */
  copyFrom(other: Encoder): void {
    this.weights.values.copyFrom(other.weights.values);
    this.statistics.arena.copyFrom(other.statistics.arena);
  }

  /** Copies the weights of another encoder of the same network, heads apart. */
  copyBackboneFrom(other: Encoder): void {
    const { stream } = this.weights.gpu;
    for (const name of this.#starts.keys()) {
      stream.copy(other.weights.values.get(name), this.weights.values.get(name));
    }
  }

  /** Completes the description of a pass through this encoder. */
  pass(options: PassOptions): Pass {
    return { statistics: this.statistics, ...options, weights: this.weights };
  }

  /** The backbone; see {@linkcode runNetwork}. */
  features(
    pass: Pass,
    images: Tensor,
    architecture: Architecture,
    taps: readonly string[] = [],
  ): Features {
    return runNetwork(this.network, pass, images, architecture, taps);
  }

  /**
   * A head.
   * @param pooled [N, C], C being the channels of any architecture
   * @param head one of the encoder's; default the projection head
   * @returns [N, dimension], not normalised
   */
  project(pass: Pass, pooled: Tensor, head: HeadDefinition | undefined = this.head): Tensor {
    if (!head) throw new ShapeError("an encoder without a head has no projection");
    const { tape, weights } = pass;
    const layer = (input: Tensor, name: string) =>
      linear(tape, input, weights.parameter(`${name}.weight`), weights.parameter(`${name}.bias`));
    const { name = defaultHeadName, kind } = head;
    if (kind === "linear") return layer(pooled, name);
    return layer(relu(tape, layer(pooled, `${name}.0`)), `${name}.2`);
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    this.weights.release();
    this.statistics.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
