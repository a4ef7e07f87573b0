/**
 * Heads: what reads several taps of a network. Like a unit a head is written once, over values that may be shapes, tensors
 * or nodes of an ONNX graph; unlike one it takes and gives several, and may apply a layer to each of them.
 */
import { ShapeError } from "../errors.ts";
import type { Shape } from "../shape.ts";
import type { Layer, LayerCall, ParameterDefinition } from "./unit.ts";

/** Part of a network from some maps to some others. */
export interface Head<L extends Layer = Layer> {
  /** Applies its layers, each any number of times. */
  forward<V>(apply: (layer: L, ...inputs: V[]) => V, inputs: readonly V[]): V[];
}

/** What a head does with inputs of some shapes, in the order in which its layers are applied. */
export interface HeadTrace<L extends Layer = Layer> {
  readonly calls: readonly LayerCall<L>[];
  readonly outputs: readonly Shape[];
}

/** Follows a head without running it. */
export function traceHead<L extends Layer>(head: Head<L>, inputs: readonly Shape[]): HeadTrace<L> {
  const calls: LayerCall<L>[] = [];
  const outputs = head.forward<Shape>((layer, ...shapes) => {
    const call = { layer, inputs: shapes, output: layer.outputShape(...shapes) };
    calls.push(call);
    return call.output;
  }, inputs);
  return { calls, outputs };
}

/**
 * Parameters of traced heads by name, in the order in which their layers are first applied.
 * @throws {ShapeError} when a layer that is applied to several maps would need another shape for one of them
 */
export function headParameters(traces: readonly HeadTrace[]): Map<string, ParameterDefinition> {
  const found = new Map<string, ParameterDefinition>();
  for (const { layer, inputs } of traces.flatMap(({ calls }) => calls)) {
    for (const [name, definition] of layer.parameters(...inputs)) {
      const known = found.get(name)?.shape ?? definition.shape;
      if (known.join() !== definition.shape.join()) {
        throw new ShapeError(
          `${name} has the shape [${known.join(", ")}], and would need [${definition.shape.join(", ")}]`,
        );
      }
      if (!found.has(name)) found.set(name, definition);
    }
  }
  return found;
}

/** Running statistics of traced heads by name, in the same order. */
export function headStatistics(traces: readonly HeadTrace[]): Map<string, Shape> {
  return new Map(
    traces.flatMap(({ calls }) => calls.flatMap(({ layer, inputs }) => [...layer.statistics(...inputs)])),
  );
}
