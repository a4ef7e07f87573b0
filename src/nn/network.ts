/** Running an elastic network: any architecture of one set of stored weights. */
import type { Architecture } from "../elastic/architecture.ts";
import { type ElasticNetwork, tapNames, unitsOf } from "../elastic/network.ts";
import { ShapeError } from "../errors.ts";
import { globalAveragePool } from "../tensor/ops/pool.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type NetworkLayer, type Pass, runUnit } from "./layers.ts";
import type { OnnxGraph } from "./onnx_graph.ts";

/** An elastic network that can be run. */
export type Network = ElasticNetwork<NetworkLayer>;

/** Features of one forward pass. */
export interface Features {
  /** Outputs of segments, by the names that were asked for, [N, C, H, W]. */
  readonly taps: ReadonlyMap<string, Tensor>;
  /** Output of the last unit, averaged over its positions, [N, C]. */
  readonly pooled: Tensor;
}

/**
 * Runs all of an architecture.
 *
 * @param images [N, C, H, W], normalised
 * @param taps names of the outputs to keep besides; see {@linkcode tapNames}
 * @throws {ShapeError} for a tap that the network has not
 */
export function runNetwork(
  network: Network,
  pass: Pass,
  images: Tensor,
  architecture: Architecture,
  taps: readonly string[] = [],
): Features {
  const names = tapNames(network);
  const unknown = taps.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new ShapeError(`the network has no tap '${unknown}'; it has ${names.join(", ")}`);
  }
  const kept = new Map<string, Tensor>();
  let output = images;
  for (const { unit, tap } of unitsOf(network, architecture)) {
    const input = output;
    output = runUnit(pass, unit, input);
    if (![...kept.values()].includes(input)) pass.tape.discard(input);
    if (tap !== undefined && taps.includes(tap)) kept.set(tap, output);
  }
  return { taps: kept, pooled: globalAveragePool(pass.tape, output) };
}

/**
 * Adds the largest architecture of a network to a graph, from `images` on. Results at taps are called as these are.
 *
 * @returns the name of the last unit's result
 */
export function addNetwork(graph: OnnxGraph, network: Network): string {
  let output = "images";
  for (const { unit, tap } of unitsOf(network, network.space.max)) {
    output = unit.forward<string>((layer, ...inputs) => layer.onnx(graph, ...inputs), output);
    if (tap !== undefined) output = graph.rename(output, tap);
  }
  return output;
}
