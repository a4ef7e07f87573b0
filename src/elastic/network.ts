/**
 * An elastic network: segments in a row, each with its own choices, each choice a list of units. This is all that
 * training, search, extraction and export know of it.
 */
import { ConfigurationError, ShapeError } from "../errors.ts";
import type { Shape } from "../shape.ts";
import type { Architecture } from "./architecture.ts";
import { ChoiceSpace, type Dimension } from "./choice_space.ts";
import { type Layer, type ParameterDefinition, storedCalls, traceUnit, type Unit } from "./unit.ts";

/** Consecutive units that depend on some of the choices, and on what comes in, alone. */
export interface Segment<L extends Layer = Layer> {
  /** How many of the architecture's choices are this segment's; they follow those of the segments before. */
  readonly dimensions: number;
  /** Name of the segment's output, e.g. `c2`, by which others ask for it. The last segment must have one. */
  readonly tap?: string;
  /**
   * Its units at some choices, at least one. Of a larger choice of depth the first units are those of a smaller one;
   * a larger width has the smaller one's channels first.
   */
  units(choices: readonly number[]): readonly Unit<L>[];
}

/** The definition of an elastic network, without weights. */
export interface ElasticNetwork<L extends Layer = Layer> {
  readonly space: ChoiceSpace;
  /** Channels of an image. */
  readonly inputChannels: number;
  readonly segments: readonly Segment<L>[];
  /** What a model file says about the network beside the architecture's id. */
  readonly description: Readonly<Record<string, string>>;
  /**
   * The network of one architecture alone.
   * @throws {ConfigurationError} when it cannot be cut out
   */
  cut(architecture: Architecture): ElasticNetwork<L>;
}

/** A unit of one architecture, and the tap that its output is. */
export interface PlacedUnit<L extends Layer = Layer> {
  readonly unit: Unit<L>;
  readonly segment: number;
  readonly tap: string | undefined;
}

/** The choices of each segment, cut out of those of an architecture. */
export function choicesBySegment(network: ElasticNetwork, { choices }: Architecture): number[][] {
  let first = 0;
  return network.segments.map(({ dimensions }) => choices.slice(first, first += dimensions));
}

/**
 * The units of a segment at some choices.
 *
 * @throws {ShapeError} when there are none
 */
export function unitsOfSegment<L extends Layer>(
  network: ElasticNetwork<L>,
  segment: number,
  choices: readonly number[],
): readonly Unit<L>[] {
  const units = network.segments[segment].units(choices);
  if (units.length > 0) return units;
  throw new ShapeError(`segment ${segment} has no units at its choices ${choices.join(", ")}`);
}

/** All units of an architecture, in the order of a forward pass. */
export function unitsOf<L extends Layer>(
  network: ElasticNetwork<L>,
  architecture: Architecture,
): PlacedUnit<L>[] {
  return choicesBySegment(network, architecture).flatMap((choices, segment) => {
    const { tap } = network.segments[segment];
    return unitsOfSegment(network, segment, choices).map((unit, index, all) => ({
      unit,
      segment,
      tap: index === all.length - 1 ? tap : undefined,
    }));
  });
}

/** Names of all taps, in the order of a forward pass. The last is what is pooled. */
export function tapNames({ segments }: ElasticNetwork): string[] {
  return segments.flatMap(({ tap }) => tap ?? []);
}

/** Shape [N, C, H, W] of the images of a network. */
export function imageShape({ inputChannels }: ElasticNetwork, imageSize: number, images = 1): Shape {
  return [images, inputChannels, imageSize, imageSize];
}

/**
 * Shape of an architecture's output at each tap.
 *
 * @param imageSize side of the square image, in pixels
 */
export function tapShapes(
  network: ElasticNetwork,
  architecture: Architecture,
  imageSize: number,
): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  let shape = imageShape(network, imageSize);
  for (const { unit, tap } of unitsOf(network, architecture)) {
    shape = traceUnit(unit, shape).output;
    if (tap !== undefined) shapes.set(tap, shape);
  }
  return shapes;
}

/** Side of an image that is large enough for every network, in pixels: parameters do not depend on it. */
export const nominalSize = 224;

/** Channels of an architecture's pooled features. */
export function featureChannels(network: ElasticNetwork, architecture: Architecture): number {
  return [...tapShapes(network, architecture, nominalSize).values()].at(-1)![1];
}

/** Parameters and running statistics of an architecture, in the order of storage. */
export interface WeightDefinitions {
  readonly parameters: ReadonlyMap<string, ParameterDefinition>;
  readonly statistics: ReadonlyMap<string, Shape>;
}

/** What an architecture stores; at `space.max` what the whole network does. */
export function weightsOf(network: ElasticNetwork, architecture: Architecture): WeightDefinitions {
  const parameters = new Map<string, ParameterDefinition>();
  const statistics = new Map<string, Shape>();
  const add = <T>(map: Map<string, T>, name: string, value: T) => {
    if (map.has(name)) throw new ShapeError(`two layers of ${architecture.id} have a weight named ${name}`);
    map.set(name, value);
  };
  let shape = imageShape(network, nominalSize);
  for (const { unit } of unitsOf(network, architecture)) {
    const trace = traceUnit(unit, shape);
    for (const { layer, inputs } of storedCalls(unit, trace)) {
      for (const [name, definition] of layer.parameters(...inputs)) add(parameters, name, definition);
      for (const [name, statistic] of layer.statistics(...inputs)) add(statistics, name, statistic);
    }
    shape = trace.output;
  }
  return { parameters, statistics };
}

/** A segment of a network that {@linkcode elasticNetwork} makes. */
export interface SegmentDefinition<L extends Layer, N extends string = string> {
  readonly name: string;
  /** See {@linkcode Segment.tap}. */
  readonly tap?: string;
  /** The choices by name, ascending; what `depth` chooses may also lie between its choices in a subnet. */
  readonly choices: Readonly<Record<N, readonly number[]>>;
  /** See {@linkcode Segment.units}. */
  units(choices: Readonly<Record<N, number>>): readonly Unit<L>[];
}

/** Checks the types of a segment's choices against its units. */
export function segment<L extends Layer, N extends string>(
  definition: SegmentDefinition<L, N>,
): SegmentDefinition<L> {
  return definition;
}

/**
 * A network of one's own. An architecture's id is its choices, with dots within a segment and dashes between them, e.g.
 * `16-32.2-64.3`.
 *
 * @throws {ConfigurationError} for choices that are no ascending whole numbers above 0, a tap's name that is taken, or a
 *   last segment without a tap
 */
export function elasticNetwork<L extends Layer>(
  segments: readonly SegmentDefinition<L>[],
  inputChannels = 3,
): ElasticNetwork<L> {
  const taps = segments.map(({ tap }) => tap);
  const taken = taps.find((tap, at) => tap !== undefined && taps.indexOf(tap) < at);
  if (taken !== undefined) throw new ConfigurationError(`two segments have a tap named ${taken}.`);
  if (taps.at(-1) === undefined) {
    throw new ConfigurationError("the last segment has no tap; its output needs a name.");
  }
  const names = segments.map(({ choices }) => Object.keys(choices));
  const dimensions = segments.flatMap(({ name, choices }) =>
    Object.entries(choices).map(([choice, allowed]): Dimension => {
      if (
        allowed.length === 0 ||
        !allowed.every((value, at) => Number.isSafeInteger(value) && value > (at === 0 ? 0 : allowed[at - 1]))
      ) {
        throw new ConfigurationError(
          `${name} ${choice}: ${JSON.stringify(allowed)} is not a list of choices. ` +
            "Give at least one whole number above 0, in ascending order.",
        );
      }
      return { name: `${name} ${choice}`, choices: allowed, between: choice === "depth" };
    })
  );
  const built = segments.map(({ tap, units }, index): Segment<L> => ({
    tap,
    dimensions: names[index].length,
    units: (values) => units(Object.fromEntries(names[index].map((name, at) => [name, values[at]]))),
  }));
  const fromChoices = (choices: readonly number[]): Architecture => {
    let first = 0;
    const parts = names.map(({ length }) => choices.slice(first, first += length).join("."));
    return { id: parts.filter((part) => part !== "").join("-"), choices };
  };
  const parse = (text: string) =>
    /^\d+([.-]\d+)*$/.test(text) ? fromChoices(text.split(/[.-]/).map(Number)) : undefined;
  const parts = dimensions.map(({ name }) => name).join(", ");
  const withSpace = (space: ChoiceSpace): ElasticNetwork<L> => ({
    space,
    inputChannels,
    segments: built,
    description: {},
    cut: (architecture) => withSpace(space.cut(architecture)),
  });
  return withSpace(new ChoiceSpace(dimensions, { fromChoices, parse, parts }));
}
