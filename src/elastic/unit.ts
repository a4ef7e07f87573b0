/**
 * Layers and units: what a network is made of, as far as it can be known without a device.
 *
 * A unit is a small program over layers, written once. Whoever walks a network gives it another meaning of "apply a
 * layer": shapes and costs here, tensors on the device and ONNX nodes in src/nn.
 */
import type { Shape } from "../shape.ts";

/**
 * How the values of a parameter start; see `Encoder.initialise`. `normal` is a standard deviation, around 0; `uniform` the
 * largest absolute value.
 */
export type Start =
  | "fan-out"
  | "one"
  | "zero"
  | "residual"
  | { readonly normal: number }
  | { readonly uniform: number };

/** A parameter of a layer. */
export interface ParameterDefinition {
  readonly shape: Shape;
  readonly start: Start;
}

/** One operation with its parameters. All shapes are those of one call: with the active channels, not the stored ones. */
export interface Layer {
  /** By name, e.g. `layer1.0.conv1.weight`; the first two dimensions are those that are sliced, outputs and inputs. */
  parameters(...inputs: Shape[]): readonly (readonly [name: string, definition: ParameterDefinition])[];
  /** Running statistics by name. */
  statistics(...inputs: Shape[]): readonly (readonly [name: string, shape: Shape])[];
  outputShape(...inputs: Shape[]): Shape;
  /** Multiplications of convolutions and products, also those with padding. */
  macs(...inputs: Shape[]): number;
  /** Shape of what is needed beside inputs and output while it runs; undefined for nothing. */
  scratchShape(...inputs: Shape[]): Shape | undefined;
}

/** Part of a network that is run as a whole: one tensor in, one out. */
export interface Unit<L extends Layer = Layer> {
  /**
   * Names what the unit computes, with its choices. Two units of one network with equal keys compute the same from the
   * same input, so architectures whose lists of keys begin alike share that beginning.
   */
  readonly key: string;
  /** All its layers, in the order in which their parameters are stored. */
  readonly layers: readonly L[];
  /** Applies each layer once. */
  forward<V>(apply: (layer: L, ...inputs: V[]) => V, input: V): V;
}

/** A unit that applies its layers one after the other. */
export function sequence<L extends Layer>(key: string, layers: readonly L[]): Unit<L> {
  return {
    key,
    layers,
    forward: (apply, input) => layers.reduce((value, layer) => apply(layer, value), input),
  };
}

/** One call of a layer. */
export interface LayerCall<L extends Layer = Layer> {
  readonly layer: L;
  readonly inputs: readonly Shape[];
  readonly output: Shape;
}

/** What a unit does with an input of some shape: the calls of its layers in order, and its output. */
export interface UnitTrace<L extends Layer = Layer> {
  readonly calls: readonly LayerCall<L>[];
  readonly output: Shape;
}

/** Follows a unit without running it. */
export function traceUnit<L extends Layer>(unit: Unit<L>, input: Shape): UnitTrace<L> {
  const calls: LayerCall<L>[] = [];
  const output = unit.forward<Shape>((layer, ...inputs) => {
    const call = { layer, inputs, output: layer.outputShape(...inputs) };
    calls.push(call);
    return call.output;
  }, input);
  return { calls, output };
}

/** Multiplications of what was traced. */
export function traceMacs({ calls }: { readonly calls: readonly LayerCall[] }): number {
  return calls.reduce((sum, { layer, inputs }) => sum + layer.macs(...inputs), 0);
}

/**
 * The calls of a unit's layers in the order of storage.
 *
 * @throws {Error} when the unit applies other layers than it lists, or one of them twice
 */
export function storedCalls<L extends Layer>(unit: Unit<L>, { calls }: UnitTrace<L>): LayerCall<L>[] {
  const byLayer = new Map(calls.map((call) => [call.layer, call]));
  if (byLayer.size !== calls.length || calls.length !== unit.layers.length) {
    throw new Error(`unit "${unit.key}" applies ${calls.length} layers and lists ${unit.layers.length}`);
  }
  return unit.layers.map((layer) => {
    const call = byLayer.get(layer);
    if (!call) throw new Error(`unit "${unit.key}" lists a layer that it does not apply`);
    return call;
  });
}
