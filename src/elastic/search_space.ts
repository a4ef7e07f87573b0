/** The search space of an elastic ResNet: which stem widths, stage widths and stage depths a subnet may choose. */
import { ConfigurationError } from "../errors.ts";
import type { Architecture } from "./architecture.ts";
import { ChoiceSpace, type Dimension } from "./choice_space.ts";
import {
  isArchitectureId,
  parseArchitecture,
  type ResNetArchitecture,
  resnetFromChoices,
} from "./resnet_architecture.ts";

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
  readonly named?: Readonly<Record<string, string>>;
  /**
   * Whether each stage's first block projects its shortcut. Left out of configurations, where the choices tell; a
   * subnet that was cut out keeps the projections of its supernet ({@linkcode SearchSpace.cut}).
   */
  readonly downsample?: readonly boolean[];
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

function checkDefinition({ stem, widths, depths, strides }: SpaceDefinition): void {
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
}

/** Stem width, stage 1 width, stage 1 depth, stage 2 width, … */
function dimensionsOf(definition: SpaceDefinition): Dimension[] {
  checkDefinition(definition);
  const { stem, widths, depths } = definition;
  return [
    { name: "stem width", choices: stem.widths },
    ...widths.flatMap((choices, stage): Dimension[] => [
      { name: `stage ${stage + 1} width`, choices },
      { name: `stage ${stage + 1} depth`, choices: depths[stage], between: true },
    ]),
  ];
}

const form = {
  fromChoices: resnetFromChoices,
  parse: (text: string) => isArchitectureId(text) ? parseArchitecture(text) : undefined,
  parts: "stem width, widths, depths",
};

/** An elastic ResNet's architectures. Checked once, on construction; immutable. */
export class SearchSpace extends ChoiceSpace<ResNetArchitecture> {
  /** @throws {ConfigurationError} naming the field (`space.…`), what was given and what is allowed */
  constructor(
    /** The definition this space was made from. */
    readonly definition: SpaceDefinition,
  ) {
    super(dimensionsOf(definition), form, namedArchitectures(definition.named));
    for (const [name, architecture] of this.named) {
      const mismatch = this.mismatch(architecture, "range");
      if (!mismatch) continue;
      throw fault(`named.${name}`, `"${architecture.id}" is not in this search space: ${mismatch}`);
    }
    definition.downsample?.forEach((present, stage) => {
      if (present || !needsDownsample(definition, stage)) return;
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
    return this.definition.downsample?.[stage] ?? needsDownsample(this.definition, stage);
  }

  /** The space of a single architecture, with the blocks that it has in this one: what a subnet is once it is cut out. */
  override cut(architecture: Architecture): SearchSpace {
    const { stem, widths, depths } = this.resolve(architecture.id);
    return new SearchSpace({
      ...this.definition,
      stem: { kind: this.definition.stem.kind, widths: [stem] },
      widths: widths.map((width) => [width]),
      depths: depths.map((depth) => [depth]),
      named: {},
      downsample: widths.map((_, stage) => this.hasDownsample(stage)),
    });
  }

  protected override mismatch(architecture: Architecture, rule: "choices" | "range"): string | undefined {
    const stages = (architecture.choices.length - 1) / 2;
    return stages === this.stages
      ? super.mismatch(architecture, rule)
      : `it has ${stages} widths and ${stages} depths; the space has ${this.stages} stages.`;
  }
}

function needsDownsample({ block, stem, widths, strides }: SpaceDefinition, stage: number): boolean {
  if (block === "bottleneck" || strides[stage] !== 1) return true;
  const incoming = stage === 0 ? stem.widths : widths[stage - 1];
  const outgoing = widths[stage];
  return incoming.length > 1 || outgoing.length > 1 || incoming[0] !== outgoing[0];
}

function namedArchitectures(named: SpaceDefinition["named"] = {}): Map<string, ResNetArchitecture> {
  return new Map(
    Object.entries(named).map(([name, id]) => {
      if (!/^[A-Za-z]\w*$/.test(name) || name === "max" || name === "min") {
        throw fault(
          `named`,
          `"${name}" cannot be a name. A name is a letter followed by letters, digits or _; max and min are taken.`,
        );
      }
      return [name, parseNamed(name, id)];
    }),
  );
}

function parseNamed(name: string, id: string): ResNetArchitecture {
  try {
    return parseArchitecture(id);
  } catch (error) {
    if (error instanceof ConfigurationError) throw fault(`named.${name}`, error.message);
    throw error;
  }
}
