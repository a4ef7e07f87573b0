/** A backbone of one architecture with a head over some of its taps, and the weights of both. */
import type { Gpu } from "../gpu/device.ts";
import { traceHead } from "../elastic/head.ts";
import { nominalSize, tapShapes, weightsOf } from "../elastic/network.ts";
import type { Start } from "../elastic/unit.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { GivenValues } from "./encoder.ts";
import { headWeights, initialiseHeads, type NetworkHead, runHead } from "./heads.ts";
import type { Pass } from "./layers.ts";
import { type Network, runNetwork } from "./network.ts";
import { Statistics, Weights, type WeightShapes } from "./weights.ts";

/** What a head reads, and what it does with it. */
export interface TappedHead {
  /** Names of the backbone's taps, in the order of the head's inputs. */
  readonly taps: readonly string[];
  readonly head: NetworkHead;
}

/** A network with a head, on the device. It runs `network.space.max`: cut the architecture out before. */
export class HeadedNetwork {
  readonly weights: Weights;
  readonly statistics: Statistics;
  readonly #headStarts: ReadonlyMap<string, Start>;

  /** @param trained whether gradients are kept */
  constructor(
    readonly gpu: Gpu,
    readonly network: Network,
    readonly tapped: TappedHead,
    trained: boolean,
  ) {
    const { max } = network.space;
    const backbone = weightsOf(network, max);
    const maps = tapShapes(network, max, nominalSize);
    const head = headWeights([traceHead(tapped.head, tapped.taps.map((name) => maps.get(name)!))]);
    this.#headStarts = head.starts;
    const shapes: WeightShapes = {
      parameters: new Map([
        ...[...backbone.parameters].map(([name, { shape }]) => [name, shape] as const),
        ...head.shapes.parameters,
      ]),
      statistics: new Map([...backbone.statistics, ...head.shapes.statistics]),
    };
    this.weights = new Weights(gpu, shapes, trained);
    this.statistics = new Statistics(gpu, shapes);
  }

  /**
   * The backbone's values are given; the head's are new, unless they are given, too.
   * @param seed of the head's
   */
  async initialise(seed: number, given: GivenValues): Promise<void> {
    await initialiseHeads(this.weights, this.#headStarts, seed);
    this.statistics.reset();
    for (const arena of [this.weights.values, this.statistics.arena]) {
      for (const [name, tensor] of arena.entries()) {
        const known = given.get(name);
        if (known) tensor.write(known);
      }
    }
  }

  /** A pass through it. */
  pass(options: Omit<Pass, "weights" | "statistics"> & { readonly statistics?: Statistics }): Pass {
    return { statistics: this.statistics, ...options, weights: this.weights };
  }

  /**
   * Runs backbone and head.
   * @param images [N, C, H, W], normalised
   * @returns the head's outputs
   */
  run(pass: Pass, images: Tensor): Tensor[] {
    const { network, tapped: { head, taps } } = this;
    const { taps: maps } = runNetwork(network, pass, images, network.space.max, taps);
    return runHead(pass, head, taps.map((name) => maps.get(name)!));
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
