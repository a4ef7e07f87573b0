/** Stochastic gradient descent over arenas of weights: parameter groups, clipping, momentum. */
import { ConfigurationError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Arena } from "../nn/arena.ts";
import type { Weights } from "../nn/weights.ts";
import { gradientScale } from "../tensor/ops/clip.ts";
import { sgdStep } from "../tensor/ops/update.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { NamedSource } from "./objective.ts";

/** How some parameters differ from the rest. The first group that names a parameter has it. */
export interface ParameterGroup {
  /** A regular expression that parameters' names are searched with. */
  readonly match: string;
  /** Factor of the learning rate. */
  readonly learningRateFactor: number;
  /** In place of the optimiser's own. */
  readonly weightDecay?: number | undefined;
  /** Left as they are. */
  readonly frozen: boolean;
}

/** Settings of {@linkcode Sgd}. */
export interface SgdOptions {
  readonly momentum: number;
  readonly weightDecay: number;
  /** Parameters that differ from the rest. Default: none. */
  readonly groups?: readonly ParameterGroup[];
  /** Most that the norm of all gradients together may be; 0, the default, for any. */
  readonly clipNorm?: number;
}

/** Changes weights by their gradients. */
export interface Optimizer extends Disposable {
  /** All that a checkpoint holds of it. */
  readonly sources: readonly NamedSource[];
  /** Forgets what it has seen. */
  clear(): void;
  /** Records an update of all weights. */
  update(learningRate: number): void;
  /** Releases the memory; nothing may read it afterwards. */
  release(): void;
}

/** Neighbours of one chunk of an arena that are updated alike. */
interface Run {
  readonly chunk: number;
  readonly start: number;
  readonly length: number;
  readonly learningRateFactor: number;
  readonly weightDecay: number;
}

/** SGD with momentum and weight decay, as `torch.optim.SGD`. Where all parameters are alike, one launch a chunk. */
export class Sgd implements Optimizer {
  readonly #momentum: Arena;
  readonly #runs: readonly Run[];

  /**
   * @param name of the weights, for the names of the momentum's tensors in checkpoints
   * @throws {ConfigurationError} for a group that names no parameter, or whose expression is none
   */
  constructor(
    readonly gpu: Gpu,
    readonly weights: Weights,
    readonly name: string,
    readonly options: SgdOptions,
  ) {
    this.#momentum = new Arena(gpu, weights.values.layout);
    this.#runs = runsOf(weights, options);
  }

  get sources(): readonly NamedSource[] {
    return [[`optimizer.momentum.${this.name}.`, this.#momentum]];
  }

  clear(): void {
    this.#momentum.clear();
  }

  update(learningRate: number): void {
    const { gpu, weights: { values, gradients }, options: { momentum, clipNorm = 0 } } = this;
    using scale = clipNorm > 0 ? gradientScale(gpu, gradients!.chunks, clipNorm) : undefined;
    for (const { chunk, start, length, learningRateFactor, weightDecay } of this.#runs) {
      const [value, gradient, velocity] = [values, gradients!, this.#momentum].map(({ chunks }): Tensor =>
        chunks[chunk].slice(start, [length])
      );
      sgdStep(gpu, value, gradient, velocity, {
        learningRate: learningRate * learningRateFactor,
        momentum,
        weightDecay,
      }, scale);
    }
  }

  release(): void {
    this.#momentum.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function expressionOf({ match }: ParameterGroup, index: number): RegExp {
  try {
    return new RegExp(match);
  } catch {
    throw new ConfigurationError(
      `optimizer.groups[${index}].match is ${JSON.stringify(match)}, which is no regular expression.`,
    );
  }
}

function runsOf(weights: Weights, { weightDecay, groups = [] }: SgdOptions): Run[] {
  const { layout } = weights.values;
  const expressions = groups.map(expressionOf);
  const used = new Set<number>();
  const runs: Run[] = [];
  const names = [...layout.placements.keys()];
  names.forEach((name) => {
    const at = expressions.findIndex((expression) => expression.test(name));
    if (at >= 0) used.add(at);
    const group: Partial<ParameterGroup> = groups[at] ?? {};
    if (group.frozen || !weights.parameter(name).gradient) return;
    const { chunk, start } = layout.placements.get(name)!;
    const settings = {
      learningRateFactor: group.learningRateFactor ?? 1,
      weightDecay: group.weightDecay ?? weightDecay,
    };
    const end = layout.endOf(name);
    const last = runs.at(-1);
    const continues = last && last.chunk === chunk && last.start + last.length === start &&
      last.learningRateFactor === settings.learningRateFactor && last.weightDecay === settings.weightDecay;
    if (continues) runs[runs.length - 1] = { ...last, length: end - last.start };
    else runs.push({ chunk, start, length: end - start, ...settings });
  });
  const unused = groups.findIndex((_, index) => !used.has(index));
  if (unused >= 0) {
    throw new ConfigurationError(
      `optimizer.groups[${unused}].match is ${JSON.stringify(groups[unused].match)}, which names none of ` +
        `${names.length} parameters, such as ${names.slice(0, 3).join(", ")}.`,
    );
  }
  return runs;
}
