/** What every ONNX graph must be. */
import { assert } from "@std/assert";
import type { OnnxModel } from "../../src/store/onnx/encode.ts";

/** Fails unless every node reads what stands before it, nothing is written twice, and every output is made. */
export function assertSound({ graph }: OnnxModel): void {
  const known = new Set([...graph.inputs, ...graph.initializers].map(({ name }) => name));
  for (const node of graph.nodes) {
    for (const name of node.inputs) assert(name === "" || known.has(name), `${node.name} reads ${name}`);
    for (const name of node.outputs) {
      assert(!known.has(name), `${name} is written twice`);
      known.add(name);
    }
  }
  for (const { name } of graph.outputs) assert(known.has(name), `nothing makes ${name}`);
}
