/** Backbone and projection head with their weights: what MoCo calls an encoder. */
import { ShapeError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { turn } from "../interrupt.ts";
import { purpose, Random } from "../random.ts";
import type { Architecture } from "../space/architecture.ts";
import type { SearchSpace } from "../space/search_space.ts";
import { relu } from "../tensor/ops/elementwise.ts";
import { linear } from "../tensor/ops/linear.ts";
import { elements, type Shape, type Tensor } from "../tensor/tensor.ts";
import type { Pass } from "./layers.ts";
import { ElasticResNet, type Features } from "./resnet.ts";
import { Statistics, Weights, type WeightShapes } from "./weights.ts";

/** The projection head; the `head` section of a configuration. */
export interface HeadDefinition {
  readonly kind: "mlp" | "linear";
  /** Width of the mlp's hidden layer. */
  readonly hidden: number;
  /** Dimension of the projection. */
  readonly dimension: number;
}

function headShapes(head: HeadDefinition | undefined, features: number): [name: string, shape: Shape][] {
  if (!head) return [];
  if (head.kind === "linear") {
    return [["fc.weight", [head.dimension, features]], ["fc.bias", [head.dimension]]];
  }
  return [
    ["fc.0.weight", [head.hidden, features]],
    ["fc.0.bias", [head.hidden]],
    ["fc.2.weight", [head.dimension, head.hidden]],
    ["fc.2.bias", [head.dimension]],
  ];
}

/** How weights start; the `initialisation` section of a configuration. */
export interface Initialisation {
  readonly head: "kaiming" | "uniform";
  /** Weight of the last batchnorm of each residual branch. */
  readonly lastBatchnorm: number;
}

/** How an encoder is run; see {@linkcode Pass}. */
export type PassOptions = Omit<Pass, "weights" | "statistics"> & { statistics?: Statistics };

/** An elastic ResNet with weights on the device; with a projection head, unless it was cut out without one. */
export class Encoder {
  readonly network: ElasticResNet;
  readonly shapes: WeightShapes;
  readonly weights: Weights;
  readonly statistics: Statistics;

  /** @param trained whether gradients are kept */
  constructor(gpu: Gpu, space: SearchSpace, readonly head: HeadDefinition | undefined, trained: boolean) {
    this.network = new ElasticResNet(space);
    const { parameters, statistics } = this.network.shapes();
    this.shapes = {
      parameters: new Map([...parameters, ...headShapes(head, this.network.featureChannels)]),
      statistics,
    };
    this.weights = new Weights(gpu, this.shapes, trained);
    this.statistics = new Statistics(gpu, this.shapes);
  }

  /**
   * Draws new weights: convolutions normal with variance 2 / (out kernel²) (He et al. 2015, fan out); the head's layers
   * normal with variance 2 / in and bias 0, or uniform within 1 / sqrt(in); batchnorm 1 and 0, but for the last of each
   * residual branch, which 0 makes start as its shortcut (Goyal et al. 2017). Takes a second for each two million values,
   * and lets the event loop have its turns.
   */
  async initialise(seed: number, initialisation: Initialisation): Promise<void> {
    const lastBatchnorms = this.network.lastBatchnorms();
    let index = 0;
    for (const [name, tensor] of this.weights.values.entries()) {
      const random = new Random(seed, purpose.initialisation, index++);
      const layer = name.slice(0, name.lastIndexOf("."));
      const isBias = name.endsWith(".bias");
      const values = new Float32Array(elements(tensor.shape));
      if (tensor.shape.length === 4) {
        const [out, , height, width] = tensor.shape;
        await fillNormal(values, Math.sqrt(2 / (out * height * width)), random);
      } else if (name.startsWith("fc.")) {
        const inputs = this.shapes.parameters.get(`${layer}.weight`)![1];
        if (initialisation.head === "uniform") await fillUniform(values, 1 / Math.sqrt(inputs), random);
        else if (!isBias) await fillNormal(values, Math.sqrt(2 / inputs), random);
      } else if (!isBias) values.fill(lastBatchnorms.has(layer) ? initialisation.lastBatchnorm : 1);
      tensor.write(values);
    }
    this.statistics.reset();
  }

  /** Copies weights and statistics of another encoder of the same shapes. */
  copyFrom(other: Encoder): void {
    this.weights.values.copyFrom(other.weights.values);
    this.statistics.arena.copyFrom(other.statistics.arena);
  }

  /** Completes the description of a pass through this encoder. */
  pass(options: PassOptions): Pass {
    return { statistics: this.statistics, ...options, weights: this.weights };
  }

  /** The backbone; see {@linkcode ElasticResNet.run}. */
  features(pass: Pass, images: Tensor, architecture: Architecture, keepStages = false): Features {
    return this.network.run(pass, images, architecture, keepStages);
  }

  /**
   * The head.
   * @param pooled [N, C], C being any width of the last stage
   * @returns [N, dimension], not normalised
   */
  project(pass: Pass, pooled: Tensor): Tensor {
    if (!this.head) throw new ShapeError("an encoder without a head has no projection");
    const { tape, weights } = pass;
    const layer = (input: Tensor, name: string) =>
      linear(tape, input, weights.parameter(`${name}.weight`), weights.parameter(`${name}.bias`));
    if (this.head.kind === "linear") return layer(pooled, "fc");
    return layer(relu(tape, layer(pooled, "fc.0")), "fc.2");
  }

  /** Gives the memory back. */
  release(): void {
    this.weights.release();
    this.statistics.release();
  }
}

/** Values drawn between two turns of the event loop. */
const valuesPerTurn = 2 ** 18;

async function fill(values: Float32Array, draw: () => number): Promise<void> {
  for (let index = 0; index < values.length; index++) {
    values[index] = draw();
    if ((index + 1) % valuesPerTurn === 0) await turn();
  }
}

function fillNormal(values: Float32Array, deviation: number, random: Random): Promise<void> {
  return fill(values, () => deviation * random.normal());
}

function fillUniform(values: Float32Array, bound: number, random: Random): Promise<void> {
  return fill(values, () => random.uniform(-bound, bound));
}
