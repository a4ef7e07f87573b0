/** What an encoder is made of on the device: parameters (with gradients where it is trained) and running statistics. */
import type { Gpu } from "../gpu/device.ts";
import type { RunningStatistics } from "../tensor/ops/batchnorm.ts";
import type { Parameter } from "../tensor/parameter.ts";
import type { Shape } from "../shape.ts";
import type { TensorOf } from "../store/safetensors.ts";
import { Arena, ArenaLayout } from "./arena.ts";

/** Names (torchvision's) and full-width shapes of a network's parameters and running statistics. */
export interface WeightShapes {
  readonly parameters: ReadonlyMap<string, Shape>;
  readonly statistics: ReadonlyMap<string, Shape>;
}

/** Running statistics of all batchnorms of a network. Several sets can serve the same weights, e.g. recalibrated ones. */
export class Statistics {
  readonly arena: Arena;
  readonly #found = new Map<string, RunningStatistics>();

  constructor(gpu: Gpu, shapes: WeightShapes) {
    this.arena = new Arena(gpu, new ArenaLayout(shapes.statistics, gpu.pool.limit));
  }

  /** Those of the batchnorm called `name`, e.g. `layer1.0.bn1`. */
  of(name: string): RunningStatistics {
    let found = this.#found.get(name);
    if (!found) {
      found = {
        mean: this.arena.get(`${name}.running_mean`),
        variance: this.arena.get(`${name}.running_var`),
      };
      this.#found.set(name, found);
    }
    return found;
  }

  /** Mean 0 and variance 1, as a new network has them. */
  reset(): void {
    for (const [name, tensor] of this.arena.entries()) {
      tensor.write(new Float32Array(tensor.length).fill(name.endsWith("running_var") ? 1 : 0));
    }
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    this.arena.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** The parameters of one encoder at full width. */
export class Weights {
  readonly values: Arena;
  readonly gradients: Arena | undefined;
  readonly #parameters = new Map<string, Parameter>();

  /**
   * @param trained whether to keep gradients
   * @param frozen names of parameters that have no gradient all the same, and stay what they are
   */
  constructor(
    readonly gpu: Gpu,
    readonly shapes: WeightShapes,
    trained: boolean,
    frozen: ReadonlySet<string> = new Set(),
  ) {
    const layout = new ArenaLayout(shapes.parameters, gpu.pool.limit);
    this.values = new Arena(gpu, layout);
    this.gradients = trained ? new Arena(gpu, layout) : undefined;
    for (const name of layout.placements.keys()) {
      const gradient = frozen.has(name) ? undefined : this.gradients?.get(name);
      this.#parameters.set(name, { name, value: this.values.get(name), gradient });
    }
  }

  /** The parameter called `name`, e.g. `layer1.0.conv1.weight`. */
  parameter(name: string): Parameter {
    const parameter = this.#parameters.get(name);
    if (!parameter) throw new Error(`no parameter '${name}'`);
    return parameter;
  }

  /** Number of values, without the gaps between parameters. */
  get count(): number {
    let count = 0;
    for (const { value } of this.#parameters.values()) count += value.length;
    return count;
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    this.values.release();
    this.gradients?.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Parameters and running statistics on the host, by name. */
export async function readWeights(
  { gpu, values }: Weights,
  { arena }: Statistics,
): Promise<Map<string, TensorOf<"F32">>> {
  const named = [...values.entries(), ...arena.entries()];
  const contents = await gpu.read(...named.map(([, tensor]) => tensor));
  return new Map(
    named.map(([name, { shape }], at) => [
      name,
      { dtype: "F32", shape, data: new Float32Array(contents[at]) },
    ]),
  );
}
