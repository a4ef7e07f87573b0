/**
 * The search space of an elastic ResNet: which stem widths, stage widths and stage depths a subnet may choose.
 *
 * Architectures are numbered 0 … size - 1 in mixed radix, in the order stem, width 1, depth 1, width 2, depth 2, …,
 * the last digit running fastest. So neighbours share the longest prefix of stages, which the ranking exploits.
 */

import { ConfigurationError } from "../errors.ts";
import type { Random } from "../random.ts";
import {
  type Architecture,
  formatArchitecture,
  isArchitectureId,
  parseArchitecture,
  sameArchitecture,
} from "./architecture.ts";

/** What defines a search space; the `space` section of a configuration. */
export interface SpaceDefinition {
  /** Residual block: `bottleneck` (1x1, 3x3, 1x1; output 4 times the width) or `basic` (3x3, 3x3). */
  readonly block: "bottleneck" | "basic";
  readonly stem: {
    /** `7x7`: stride 2 and a 3x3 max-pool of stride 2. `3x3`: stride 1 and no pool, for small images. */
    readonly kind: "7x7" | "3x3";
    readonly widths: readonly number[];
  };
  /** Width choices of each stage, ascending. */
  readonly widths: readonly (readonly number[])[];
  /** Depth choices of each stage, ascending. */
  readonly depths: readonly (readonly number[])[];
  /** Stride of each stage's first block. */
  readonly strides: readonly number[];
  /** Names for single architectures, as ids. */
  readonly named: Readonly<Record<string, string>>;
  /**
   * Whether each stage's first block projects its shortcut. Left out of configurations, where the choices tell; a
   * subnet that was cut out keeps the projections of its supernet ({@linkcode SearchSpace.cut}).
   */
  readonly downsample?: readonly boolean[];
}

/** Which passes a training step makes; the `sandwich` section of a configuration. */
export interface SandwichDefinition {
  readonly largest: boolean;
  readonly smallest: boolean;
  /** Number of random architectures. */
  readonly random: number;
}

/** One pass of a sandwich step, and why it is made. */
export interface SandwichPass {
  readonly role: "largest" | "smallest" | "random";
  readonly architecture: Architecture;
}

const fewestStages = 2;
const mostStages = 6;

function fault(field: string, message: string): ConfigurationError {
  return new ConfigurationError(`space.${field}: ${message}`);
}

function checkChoices(field: string, choices: readonly number[]): void {
  const valid = choices.length > 0 &&
    choices.every((choice, index) =>
      Number.isSafeInteger(choice) && choice > 0 && (index === 0 || choice > choices[index - 1])
    );
  if (!valid) {
    throw fault(
      field,
      `${
        JSON.stringify(choices)
      } is not a list of choices. Give at least one whole number above 0, in ascending order.`,
    );
  }
}

/** An elastic ResNet's architectures. Checked once, on construction; immutable. */
export class SearchSpace {
  /** The definition this space was made from. */
  readonly definition: SpaceDefinition;
  /** The architecture with every choice at its largest: the shape in which weights are stored. */
  readonly max: Architecture;
  /** The architecture with every choice at its smallest. */
  readonly min: Architecture;
  /** Exact number of architectures. */
  readonly size: number;
  /** Named architectures, in the order of the definition. */
  readonly named: ReadonlyMap<string, Architecture>;
  /** Choices of every dimension: stem, width 1, depth 1, width 2, depth 2, … */
  readonly #choices: readonly (readonly number[])[];

  /** @throws {ConfigurationError} naming the field (`space.…`), what was given and what is allowed */
  constructor(definition: SpaceDefinition) {
    const { stem, widths, depths, strides, named } = definition;
    this.definition = definition;
    const stages = widths.length;
    if (stages < fewestStages || stages > mostStages) {
      throw fault(
        "widths",
        `describes ${stages} stages. A network has ${fewestStages} to ${mostStages} stages.`,
      );
    }
    for (const [field, list] of [["depths", depths], ["strides", strides]] as const) {
      if (list.length !== stages) {
        throw fault(
          field,
          `describes ${list.length} stages, but space.widths describes ${stages}. Give one entry per stage.`,
        );
      }
    }
    checkChoices("stem.widths", stem.widths);
    widths.forEach((choices, stage) => checkChoices(`widths[${stage}]`, choices));
    depths.forEach((choices, stage) => checkChoices(`depths[${stage}]`, choices));
    strides.forEach((stride, stage) => {
      if (stride !== 1 && stride !== 2) {
        throw fault(`strides[${stage}]`, `${stride} is not a stride. It is 1 or 2.`);
      }
    });

    this.#choices = [stem.widths, ...widths.flatMap((choices, stage) => [choices, depths[stage]])];
    this.size = this.#choices.reduce((product, choices) => product * choices.length, 1);
    if (this.size > Number.MAX_SAFE_INTEGER) {
      throw fault(
        "widths",
        "gives more than 2^53 architectures together with the depths. Give fewer choices.",
      );
    }
    this.min = this.at(0);
    this.max = this.at(this.size - 1);
    this.named = new Map(Object.entries(named).map(([name, id]) => [name, this.#resolveNamed(name, id)]));
    definition.downsample?.forEach((present, stage) => {
      if (present || !this.#needsDownsample(stage)) return;
      throw fault(`downsample[${stage}]`, `is false, but an identity does not fit stage ${stage + 1}.`);
    });
  }

  /** Number of stages, 2 to 6. */
  get stages(): number {
    return this.definition.widths.length;
  }

  /** Ratio of a block's output channels to its width: 4 for bottleneck blocks, 1 for basic ones. */
  get expansion(): 1 | 4 {
    return this.definition.block === "bottleneck" ? 4 : 1;
  }

  /**
   * Whether the first block of a stage (0-based) projects its shortcut with a 1x1 convolution and a batchnorm.
   *
   * It is a property of the stored supernet, hence the same for all architectures, also for those in which an
   * identity would fit: it is left out only where every architecture could do without it, i.e. for a basic block
   * of stride 1 whose input and output have one and the same single width choice. That is torchvision's rule for
   * a fixed ResNet: resnet18's `layer1.0` has no downsample, resnet50's has.
   */
  hasDownsample(stage: number): boolean {
    return this.definition.downsample?.[stage] ?? this.#needsDownsample(stage);
  }

  #needsDownsample(stage: number): boolean {
    const { block, stem, widths, strides } = this.definition;
    if (block === "bottleneck" || strides[stage] !== 1) return true;
    const incoming = stage === 0 ? stem.widths : widths[stage - 1];
    const outgoing = widths[stage];
    return incoming.length > 1 || outgoing.length > 1 || incoming[0] !== outgoing[0];
  }

  /**
   * The space of a single architecture, with the blocks that it has in this one: what a subnet is once it is cut out.
   *
   * @throws {ConfigurationError} when the architecture cannot be cut out ({@linkcode canCut})
   */
  cut(architecture: Architecture): SearchSpace {
    const { stem, widths, depths } = this.resolve(formatArchitecture(architecture));
    return new SearchSpace({
      ...this.definition,
      stem: { kind: this.definition.stem.kind, widths: [stem] },
      widths: widths.map((width) => [width]),
      depths: depths.map((depth) => [depth]),
      named: {},
      downsample: widths.map((_, stage) => this.hasDownsample(stage)),
    });
  }

  /** Whether an architecture is one of the {@linkcode size} that are sampled, numbered and ranked. */
  contains(architecture: Architecture): boolean {
    return this.#mismatch(architecture, "choices") === undefined;
  }

  /**
   * Whether an architecture can be cut out of the supernet: its widths are choices, and its depths lie between the
   * smallest and the largest choice. ResNet-50 is such a subnet of the published space, whose third stage trains
   * odd depths only: its first six blocks are trained as part of seven.
   */
  canCut(architecture: Architecture): boolean {
    return this.#mismatch(architecture, "range") === undefined;
  }

  /**
   * The architecture that a text means: `max`, `min`, a name from the definition, or the id of an architecture that
   * can be cut out ({@linkcode canCut}).
   *
   * @throws {ConfigurationError} naming the dimension that is off and the choices that it has
   */
  resolve(text: string): Architecture {
    if (text === "max") return this.max;
    if (text === "min") return this.min;
    const named = this.named.get(text);
    if (named) return named;
    if (!isArchitectureId(text)) {
      const names = ["max", "min", ...this.named.keys()].join(", ");
      throw new ConfigurationError(
        `"${text}" is not an architecture of this search space. Use ${names}, or an id such as ` +
          `${formatArchitecture(this.max)} (stem width, widths, depths).`,
      );
    }
    const architecture = parseArchitecture(text);
    const mismatch = this.#mismatch(architecture, "range");
    if (mismatch) {
      throw new ConfigurationError(`Architecture "${text}" is not in this search space: ${mismatch}`);
    }
    return architecture;
  }

  /** The architecture with a number from 0 to size - 1; the inverse of {@linkcode indexOf}. */
  at(index: number): Architecture {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size) {
      throw new RangeError(`architecture ${index} of a space with ${this.size}`);
    }
    const digits: number[] = [];
    for (const choices of this.#choices.toReversed()) {
      digits.push(choices[index % choices.length]);
      index = Math.floor(index / choices.length);
    }
    return this.#fromValues(digits.reverse());
  }

  /**
   * The number of an architecture; the inverse of {@linkcode at}.
   *
   * @throws {ConfigurationError} when the architecture is not in this space
   */
  indexOf(architecture: Architecture): number {
    const mismatch = this.#mismatch(architecture, "choices");
    if (mismatch) {
      throw new ConfigurationError(
        `Architecture "${formatArchitecture(architecture)}" has no number: ${mismatch}`,
      );
    }
    const values = [
      architecture.stem,
      ...architecture.widths.flatMap((width, stage) => [width, architecture.depths[stage]]),
    ];
    return this.#choices.reduce(
      (index, choices, dimension) => index * choices.length + choices.indexOf(values[dimension]),
      0,
    );
  }

  /** All architectures, in the order of their numbers. */
  *enumerate(): Generator<Architecture> {
    for (let index = 0; index < this.size; index++) yield this.at(index);
  }

  /** One architecture, all equally likely. */
  sampleUniform(random: Random): Architecture {
    return this.#fromValues(this.#choices.map((choices) => random.pick(choices)));
  }

  /**
   * The passes of one training step: the largest, the smallest and some random architectures, in that order.
   *
   * An architecture that comes up twice is passed once only, under its first role: in a space of one architecture
   * the step is plain MoCo with one pass, not three times its gradient.
   */
  sandwich(random: Random, definition: SandwichDefinition): SandwichPass[] {
    const passes: SandwichPass[] = [];
    const add = (role: SandwichPass["role"], architecture: Architecture) => {
      if (!passes.some((pass) => sameArchitecture(pass.architecture, architecture))) {
        passes.push({ role, architecture });
      }
    };
    if (definition.largest) add("largest", this.max);
    if (definition.smallest) add("smallest", this.min);
    for (let draw = 0; draw < definition.random; draw++) add("random", this.sampleUniform(random));
    return passes;
  }

  #fromValues([stem, ...rest]: readonly number[]): Architecture {
    return {
      stem,
      widths: rest.filter((_, index) => index % 2 === 0),
      depths: rest.filter((_, index) => index % 2 === 1),
    };
  }

  #resolveNamed(name: string, id: string): Architecture {
    if (!/^[A-Za-z]\w*$/.test(name) || name === "max" || name === "min") {
      throw fault(
        `named`,
        `"${name}" cannot be a name. A name is a letter followed by letters, digits or _; max and min are taken.`,
      );
    }
    const architecture = this.#parseNamed(name, id);
    const mismatch = this.#mismatch(architecture, "range");
    if (mismatch) throw fault(`named.${name}`, `"${id}" is not in this search space: ${mismatch}`);
    return architecture;
  }

  #parseNamed(name: string, id: string): Architecture {
    try {
      return parseArchitecture(id);
    } catch (error) {
      if (error instanceof ConfigurationError) throw fault(`named.${name}`, error.message);
      throw error;
    }
  }

  /**
   * The first dimension in which an architecture leaves this space, as a sentence; undefined when it is inside.
   *
   * @param depthRule whether a depth must be a choice, or may lie between the smallest and the largest one
   */
  #mismatch({ stem, widths, depths }: Architecture, depthRule: "choices" | "range"): string | undefined {
    const { definition, stages } = this;
    if (widths.length !== stages || depths.length !== stages) {
      return `it has ${widths.length} widths and ${depths.length} depths; the space has ${stages} stages.`;
    }
    const choiceFault = (what: string, value: number, choices: readonly number[]) =>
      choices.includes(value) ? undefined : `${what} ${value} is not one of ${choices.join(", ")}.`;
    const depthFault = (what: string, value: number, choices: readonly number[]) => {
      if (depthRule === "choices") return choiceFault(what, value, choices);
      const [low, high] = [choices[0], choices[choices.length - 1]];
      return value >= low && value <= high
        ? undefined
        : `${what} ${value} is not between ${low} and ${high}.`;
    };
    const faults = [
      choiceFault("stem width", stem, definition.stem.widths),
      ...widths.map((width, stage) =>
        choiceFault(`stage ${stage + 1} width`, width, definition.widths[stage])
      ),
      ...depths.map((depth, stage) =>
        depthFault(`stage ${stage + 1} depth`, depth, definition.depths[stage])
      ),
    ];
    return faults.find((message) => message !== undefined);
  }
}
