/** A backbone of one architecture with a detector over its last four taps, and the weights of both in one place. */
import { nominalSize, tapNames, tapShapes, weightsOf } from "../../elastic/network.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { GivenValues } from "../encoder.ts";
import type { Pass } from "../layers.ts";
import { type Network, runNetwork } from "../network.ts";
import { Statistics, type Weights } from "../weights.ts";
import { Detector } from "./detector.ts";
import type { DetectorSettings } from "./settings.ts";

/** Maps that the pyramid is built over. */
const levels = 4;

/** A detector on the device. It runs `network.space.max`: cut the architecture out before. */
export class DetectorNetwork {
  readonly detector: Detector;
  readonly statistics: Statistics;
  /** Names of the taps, from fine to coarse. */
  readonly taps: readonly string[];
  /** Pixels of the image to one of the coarsest tap: what sides are padded to a multiple of. */
  readonly stride: number;
  readonly #backbone: ReadonlySet<string>;

  /**
   * @param trained whether gradients are kept
   * @param frozenBatchnorm whether the backbone's batchnorm stays what it is
   */
  constructor(
    readonly gpu: Gpu,
    readonly network: Network,
    settings: DetectorSettings,
    trained: boolean,
    readonly frozenBatchnorm: boolean,
  ) {
    const { max } = network.space;
    const { parameters, statistics } = weightsOf(network, max);
    this.taps = tapNames(network).slice(-levels);
    const shapes = tapShapes(network, max, nominalSize);
    this.stride = 2 ** Math.round(Math.log2(nominalSize / shapes.get(this.taps.at(-1)!)![2]));
    const normalised = [...statistics.keys()].map((name) => name.slice(0, name.lastIndexOf(".")));
    const frozen = frozenBatchnorm ? normalised.flatMap((name) => [`${name}.weight`, `${name}.bias`]) : [];
    this.#backbone = new Set(parameters.keys());
    this.detector = new Detector(gpu, this.taps.map((tap) => shapes.get(tap)![1]), settings, trained, {
      parameters: new Map([...parameters].map(([name, { shape }]) => [name, shape])),
      frozen: new Set(frozen),
    });
    this.statistics = new Statistics(gpu, { parameters: new Map(), statistics });
  }

  get weights(): Weights {
    return this.detector.weights;
  }

  /** Whether a parameter is the backbone's. */
  ofBackbone(name: string): boolean {
    return this.#backbone.has(name);
  }

  /** New weights of the heads, and the backbone's as they are given. */
  async initialise(seed: number, given: GivenValues): Promise<void> {
    await this.detector.initialise(seed);
    this.statistics.reset();
    for (const arena of [this.weights.values, this.statistics.arena]) {
      for (const [name, tensor] of arena.entries()) {
        const known = given.get(name);
        if (known) tensor.write(known);
      }
    }
  }

  /** A pass; frozen batchnorm runs with its statistics also in training. */
  pass(options: Pick<Pass, "tape" | "training">): Pass {
    const { statistics, weights, frozenBatchnorm } = this;
    return {
      ...options,
      training: options.training && !frozenBatchnorm,
      batchnormGroups: 1,
      statistics,
      weights,
    };
  }

  /**
   * The backbone's maps that the pyramid reads.
   * @param images [N, C, H, W], normalised
   */
  features(pass: Pass, images: Tensor): Tensor[] {
    const { taps: maps } = runNetwork(this.network, pass, images, this.network.space.max, this.taps);
    return this.taps.map((name) => maps.get(name)!);
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    this.detector.release();
    this.statistics.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
