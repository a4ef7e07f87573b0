/**
 * Which subnets an elastic network has: the product of its choices.
 *
 * Architectures are numbered 0 … size - 1 in mixed radix, the last dimension running fastest. Dimensions stand in the
 * order in which a forward pass meets them, so neighbours share the longest prefix, which the ranking exploits.
 */
import { ConfigurationError } from "../errors.ts";
import type { Random } from "../random.ts";
import { type Architecture, sameArchitecture } from "./architecture.ts";

/** One thing that can be chosen. */
export interface Dimension {
  /** For messages and filters, e.g. `stage 2 width`. */
  readonly name: string;
  /** Ascending. The largest contains all others: its weights are those that are stored. */
  readonly choices: readonly number[];
  /** Numbers between the choices can be cut out too, as a depth of 6 out of 7 blocks. Default false. */
  readonly between?: boolean;
}

/** How a space's architectures are made and written. */
export interface ArchitectureForm<A extends Architecture> {
  fromChoices(choices: readonly number[]): A;
  /** Reads an id; undefined for a text that is none. */
  parse(text: string): A | undefined;
  /** What an id consists of, for messages, e.g. `stem width, widths, depths`. */
  readonly parts: string;
}

/** Which passes a training step makes; the `sandwich` section of a configuration. */
export interface SandwichDefinition {
  readonly largest: boolean;
  readonly smallest: boolean;
  /** Number of random architectures. */
  readonly random: number;
}

/** One pass of a sandwich step, and why it is made. */
export interface SandwichPass<A extends Architecture = Architecture> {
  readonly role: "largest" | "smallest" | "random";
  readonly architecture: A;
}

/** The architectures of an elastic network. Immutable. */
export class ChoiceSpace<A extends Architecture = Architecture> {
  /** Every choice at its largest: the shape in which weights are stored. */
  readonly max: A;
  /** Every choice at its smallest. */
  readonly min: A;
  /** Exact number of architectures. */
  readonly size: number;

  /** @throws {ConfigurationError} when there are more than 2^53 architectures */
  constructor(
    /** In the order in which a forward pass meets them. */
    readonly dimensions: readonly Dimension[],
    protected readonly form: ArchitectureForm<A>,
    /** Names for single architectures. */
    readonly named: ReadonlyMap<string, A> = new Map(),
  ) {
    this.size = dimensions.reduce((product, { choices }) => product * choices.length, 1);
    if (this.size > Number.MAX_SAFE_INTEGER) {
      throw new ConfigurationError(
        "space.widths: gives more than 2^53 architectures together with the depths. Give fewer choices.",
      );
    }
    this.min = form.fromChoices(dimensions.map(({ choices }) => choices[0]));
    this.max = form.fromChoices(dimensions.map(({ choices }) => choices[choices.length - 1]));
  }

  /** Whether an architecture is one of the {@linkcode size} that are sampled, numbered and ranked. */
  contains(architecture: Architecture): boolean {
    return this.mismatch(architecture, "choices") === undefined;
  }

  /**
   * Whether an architecture can be cut out of the supernet: each number is a choice or, where the dimension allows it,
   * lies between the smallest and the largest one. ResNet-50 is such a subnet of the published space, whose third stage
   * trains odd depths only: its first six blocks are trained as part of seven.
   */
  canCut(architecture: Architecture): boolean {
    return this.mismatch(architecture, "range") === undefined;
  }

  /**
   * The architecture that a text means: `max`, `min`, a name, or the id of one that can be cut out.
   *
   * @throws {ConfigurationError} naming the dimension that is off and the choices that it has
   */
  resolve(text: string): A {
    if (text === "max") return this.max;
    if (text === "min") return this.min;
    const named = this.named.get(text);
    if (named) return named;
    const architecture = this.form.parse(text);
    if (!architecture) {
      const names = ["max", "min", ...this.named.keys()].join(", ");
      throw new ConfigurationError(
        `"${text}" is not an architecture of this search space. Use ${names}, or an id such as ` +
          `${this.max.id} (${this.form.parts}).`,
      );
    }
    const mismatch = this.mismatch(architecture, "range");
    if (mismatch) {
      throw new ConfigurationError(`Architecture "${text}" is not in this search space: ${mismatch}`);
    }
    return architecture;
  }

  /**
   * The space of a single architecture.
   *
   * @throws {ConfigurationError} when it cannot be cut out ({@linkcode canCut})
   */
  cut(architecture: Architecture): ChoiceSpace<A> {
    const { choices } = this.resolve(architecture.id);
    return new ChoiceSpace(
      this.dimensions.map(({ name }, index) => ({ name, choices: [choices[index]] })),
      this.form,
    );
  }

  /** The architecture with a number from 0 to size - 1; the inverse of {@linkcode indexOf}. */
  at(index: number): A {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size) {
      throw new RangeError(`architecture ${index} of a space with ${this.size}`);
    }
    const values: number[] = [];
    for (const { choices } of this.dimensions.toReversed()) {
      values.push(choices[index % choices.length]);
      index = Math.floor(index / choices.length);
    }
    return this.form.fromChoices(values.reverse());
  }

  /**
   * The number of an architecture; the inverse of {@linkcode at}.
   *
   * @throws {ConfigurationError} when the architecture is not in this space
   */
  indexOf(architecture: Architecture): number {
    const mismatch = this.mismatch(architecture, "choices");
    if (mismatch) {
      throw new ConfigurationError(`Architecture "${architecture.id}" has no number: ${mismatch}`);
    }
    return this.dimensions.reduce(
      (index, { choices }, dimension) =>
        index * choices.length + choices.indexOf(architecture.choices[dimension]),
      0,
    );
  }

  /** All architectures, in the order of their numbers. */
  *enumerate(): Generator<A> {
    for (let index = 0; index < this.size; index++) yield this.at(index);
  }

  /** One architecture, all equally likely. */
  sampleUniform(random: Random): A {
    return this.form.fromChoices(this.dimensions.map(({ choices }) => random.pick(choices)));
  }

  /**
   * The passes of one training step: the largest, the smallest and some random architectures, in that order.
   *
   * An architecture that comes up twice is passed once only, under its first role: in a space of one architecture
   * the step is plain MoCo with one pass, not three times its gradient.
   */
  sandwich(random: Random, definition: SandwichDefinition): SandwichPass<A>[] {
    const passes: SandwichPass<A>[] = [];
    const add = (role: SandwichPass["role"], architecture: A) => {
      if (!passes.some((pass) => sameArchitecture(pass.architecture, architecture))) {
        passes.push({ role, architecture });
      }
    };
    if (definition.largest) add("largest", this.max);
    if (definition.smallest) add("smallest", this.min);
    for (let draw = 0; draw < definition.random; draw++) add("random", this.sampleUniform(random));
    return passes;
  }

  /**
   * The first dimension in which an architecture leaves this space, as a sentence; undefined when it is inside.
   *
   * @param rule whether each number must be a choice, or may lie between choices where its dimension allows it
   */
  protected mismatch({ choices }: Architecture, rule: "choices" | "range"): string | undefined {
    if (choices.length !== this.dimensions.length) {
      return `it has ${choices.length} choices; the space has ${this.dimensions.length} dimensions.`;
    }
    for (const [index, { name, choices: allowed, between }] of this.dimensions.entries()) {
      const value = choices[index];
      if (allowed.includes(value)) continue;
      if (rule === "choices" || !between) return `${name} ${value} is not one of ${allowed.join(", ")}.`;
      const [low, high] = [allowed[0], allowed[allowed.length - 1]];
      if (!(value >= low && value <= high)) return `${name} ${value} is not between ${low} and ${high}.`;
    }
  }
}
