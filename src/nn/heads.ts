/** Running heads, and what they store. */
import { type Head, headParameters, headStatistics, type HeadTrace } from "../elastic/head.ts";
import type { Start } from "../elastic/unit.ts";
import { purpose, Random } from "../random.ts";
import { elements } from "../shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { NetworkLayer, Pass } from "./layers.ts";
import type { OnnxGraph } from "./onnx_graph.ts";
import { fillStart } from "./start_values.ts";
import type { Weights, WeightShapes } from "./weights.ts";

/** A head that can be run. */
export type NetworkHead = Head<NetworkLayer>;

/** Runs a head. Without recording, the memory of everything but its results is given back at the end. */
export function runHead(pass: Pass, head: NetworkHead, inputs: readonly Tensor[]): Tensor[] {
  return pass.tape.scope(() =>
    head.forward<Tensor>((layer, ...values) => layer.run(pass, ...values), inputs)
  );
}

/** Adds a head to a graph; returns the names of its results. */
export function addHead(graph: OnnxGraph, head: NetworkHead, inputs: readonly string[]): string[] {
  return head.forward<string>((layer, ...values) => layer.onnx(graph, ...values), inputs);
}

/** Parameters of heads, and how they start. */
export interface HeadWeights {
  readonly shapes: WeightShapes;
  readonly starts: ReadonlyMap<string, Start>;
}

/** What traced heads store. */
export function headWeights(traces: readonly HeadTrace[]): HeadWeights {
  const definitions = [...headParameters(traces)];
  return {
    shapes: {
      parameters: new Map(definitions.map(([name, { shape }]) => [name, shape])),
      statistics: headStatistics(traces),
    },
    starts: new Map(definitions.map(([name, { start }]) => [name, start])),
  };
}

/** Draws new weights of heads; the same for the same seed, whatever the network under them. */
export async function initialiseHeads(
  weights: Weights,
  starts: ReadonlyMap<string, Start>,
  seed: number,
): Promise<void> {
  let index = 0;
  for (const [name, start] of starts) {
    const { value } = weights.parameter(name);
    const values = new Float32Array(elements(value.shape));
    await fillStart(values, value.shape, start, 0, new Random(seed, purpose.headInitialisation, index++));
    value.write(values);
  }
}
