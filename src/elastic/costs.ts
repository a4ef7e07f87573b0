/**
 * Exact costs of architectures. MACs count the multiplications of convolutions (also those with padding, as is
 * usual) for one square image; parameters count the weights of all layers. No head.
 *
 * A segment's costs depend on its choices and on the shape that comes in, and on nothing else. So an elastic network is a
 * layered graph: the states between two segments are shapes, the ways from state to state are choices, and every path
 * is an architecture. Sums and counts over all architectures are sums over the graph.
 */
import { elements, type Shape } from "../shape.ts";
import type { Architecture } from "./architecture.ts";
import { choicesBySegment, type ElasticNetwork, imageShape, nominalSize, unitsOfSegment } from "./network.ts";
import { traceMacs, traceUnit } from "./unit.ts";

/** Half-open range of MACs with the number of architectures in it. */
export interface MacGroup {
  /** Lower bound, included; a multiple of the group size. */
  readonly from: number;
  /** Upper bound, excluded. */
  readonly to: number;
  readonly count: number;
}

/** One segment at some choices, from one state to the next. */
interface Way {
  readonly macs: number;
  readonly parameters: number;
  readonly to: State;
}

/** Between two segments: what came out of the first of them. */
interface State {
  readonly shape: Shape;
  /** Ways through the next segment that were asked for, by its choices. */
  readonly ways: Map<string, Way>;
}

/** The graph of a network for images of one size. Built as far as it is asked for. */
class ChoiceGraph {
  readonly start: State;
  /** States behind each segment, by their shape. */
  readonly #states: readonly Map<string, State>[];

  constructor(readonly network: ElasticNetwork, imageSize: number) {
    this.start = { shape: imageShape(network, imageSize), ways: new Map() };
    this.#states = network.segments.map(() => new Map());
  }

  way(from: State, segment: number, choices: readonly number[]): Way {
    const key = choices.join();
    let way = from.ways.get(key);
    if (!way) from.ways.set(key, way = this.#walk(from.shape, segment, choices));
    return way;
  }

  #walk(input: Shape, segment: number, choices: readonly number[]): Way {
    let macs = 0, parameters = 0, shape = input;
    for (const unit of unitsOfSegment(this.network, segment, choices)) {
      const trace = traceUnit(unit, shape);
      macs += traceMacs(trace);
      for (const { layer, inputs } of trace.calls) {
        for (const [, definition] of layer.parameters(...inputs)) parameters += elements(definition.shape);
      }
      shape = trace.output;
    }
    const states = this.#states[segment];
    const key = shape.join();
    let to = states.get(key);
    if (!to) states.set(key, to = { shape, ways: new Map() });
    return { macs, parameters, to };
  }

  /** The ways of an architecture through its first segments. */
  path(architecture: Architecture, segments = this.network.segments.length): Way[] {
    let state = this.start;
    return choicesBySegment(this.network, architecture).slice(0, segments).map((choices, segment) => {
      const way = this.way(state, segment, choices);
      state = way.to;
      return way;
    });
  }
}

const graphs = new WeakMap<ElasticNetwork, Map<number, ChoiceGraph>>();

function graphOf(network: ElasticNetwork, imageSize: number): ChoiceGraph {
  let bySize = graphs.get(network);
  if (!bySize) graphs.set(network, bySize = new Map());
  let graph = bySize.get(imageSize);
  if (!graph) bySize.set(imageSize, graph = new ChoiceGraph(network, imageSize));
  return graph;
}

/**
 * Multiply-accumulates of an architecture for one image.
 *
 * @param imageSize side of the square image, in pixels
 * @param segments only so many from the start
 */
export function macs(
  network: ElasticNetwork,
  architecture: Architecture,
  imageSize: number,
  segments?: number,
): number {
  return graphOf(network, imageSize).path(architecture, segments).reduce((sum, way) => sum + way.macs, 0);
}

/** Number of parameters of an architecture, without a head. */
export function parameters(network: ElasticNetwork, architecture: Architecture): number {
  const graph = graphOf(network, nominalSize);
  return graph.path(architecture).reduce((sum, way) => sum + way.parameters, 0);
}

/** All choices of some dimensions together. */
function combinations(choices: readonly (readonly number[])[]): number[][] {
  return choices.reduce<number[][]>(
    (lists, next) => lists.flatMap((list) => next.map((choice) => [...list, choice])),
    [[]],
  );
}

/**
 * How many architectures fall into each group of MACs; group i holds those in [i · groupSize, (i + 1) · groupSize).
 * Groups without architectures are left out.
 *
 * Architectures are never enumerated: at each state of the graph, a table says how many ways there cost how much.
 *
 * @param imageSize side of the square image, in pixels
 * @param groupSize MACs per group, above 0
 */
export function groupsByMacs(network: ElasticNetwork, imageSize: number, groupSize: number): MacGroup[] {
  const graph = graphOf(network, imageSize);
  type Counts = Map<number, number>;
  const add = (counts: Counts, key: number, count: number) => counts.set(key, (counts.get(key) ?? 0) + count);

  let tables = new Map<State, Counts>([[graph.start, new Map([[0, 1]])]]);
  let first = 0;
  network.segments.forEach(({ dimensions }, segment) => {
    const next = new Map<State, Counts>();
    const choices = network.space.dimensions.slice(first, first += dimensions);
    for (const combination of combinations(choices.map((dimension) => dimension.choices))) {
      for (const [state, table] of tables) {
        const way = graph.way(state, segment, combination);
        let counts = next.get(way.to);
        if (!counts) next.set(way.to, counts = new Map());
        for (const [cost, count] of table) add(counts, cost + way.macs, count);
      }
    }
    tables = next;
  });

  const groups: Counts = new Map();
  for (const counts of tables.values()) {
    for (const [value, count] of counts) add(groups, Math.floor(value / groupSize), count);
  }
  return [...groups].sort(([a], [b]) => a - b)
    .map(([index, count]) => ({ from: index * groupSize, to: (index + 1) * groupSize, count }));
}

/**
 * A round group size (1, 2 or 5 times a power of ten) that divides a space into at most 16 groups;
 * for the published ImageNet space that is its 1 GMAC.
 *
 * @param imageSize side of the square image, in pixels
 */
export function roundGroupSize(network: ElasticNetwork, imageSize: number): number {
  const smallest = macs(network, network.space.min, imageSize);
  const largest = macs(network, network.space.max, imageSize);
  for (let power = 1;; power *= 10) {
    for (const digit of [1, 2, 5]) {
      const size = digit * power;
      if (Math.floor(largest / size) - Math.floor(smallest / size) < 16) return size;
    }
  }
}
