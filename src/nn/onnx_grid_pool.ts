/**
 * Adaptive average pooling as ONNX nodes. There is no operator for maps whose size is known only when they come, but a
 * product with a matrix of means along each axis, which other operators make of that size.
 */
import { onnxType } from "../store/onnx/encode.ts";
import type { OnnxGraph } from "./onnx_graph.ts";

/**
 * Adds the means of `side` x `side` cells of a map [N, C, H, W] of any size, as `torch.nn.AdaptiveAvgPool2d`.
 *
 * @param name of the result
 * @returns that name; [N, C, side, side]
 */
export function addGridPool(graph: OnnxGraph, name: string, map: string, side: number): string {
  if (side === 1) return graph.add("GlobalAveragePool", name, [map]);
  const cells = Array.from({ length: side }, (_, cell) => cell);
  const constants = {
    cells: graph.integers(`${name}.cells`, cells, [side, 1]),
    side: graph.integers(`${name}.side`, [side], []),
    zero: graph.integers(`${name}.zero`, [0], []),
    along: graph.integers(`${name}.along`, [1], [1]),
  };
  const rows = addMeans(graph, `${name}.rows`, map, 2, constants);
  const columns = addMeans(graph, `${name}.columns`, map, 3, constants);
  const across = graph.add("Transpose", `${name}.across`, [columns], { perm: [1, 0] });
  const strips = graph.add("MatMul", `${name}.strips`, [rows, map]);
  return graph.add("MatMul", name, [strips, across]);
}

/**
 * Adds the matrix [side, L] that takes the means of cells along an axis of length L. Cell k has the pixels i from
 * floor(k L / side) to ceil((k + 1) L / side): in whole numbers, those with (i + 1) side > k L and i side < (k + 1) L.
 */
function addMeans(
  graph: OnnxGraph,
  name: string,
  map: string,
  axis: number,
  { cells, side, zero, along }: Readonly<Record<"cells" | "side" | "zero" | "along", string>>,
): string {
  const add = (operator: string, part: string, ...inputs: string[]) =>
    graph.add(operator, `${name}.${part}`, inputs);
  const shape = graph.add("Shape", `${name}.shape`, [map], { start: axis, end: axis + 1 });
  const length = add("Squeeze", "length", shape);
  const pixels = add("Range", "pixels", zero, add("Mul", "end", length, side), side);
  const first = add("Mul", "first", cells, length);
  const inside = add(
    "And",
    "inside",
    add("Greater", "begun", add("Add", "next", pixels, side), first),
    add("Less", "open", pixels, add("Add", "last", first, length)),
  );
  const members = graph.add("Cast", `${name}.members`, [inside], { to: onnxType.float });
  return add("Div", "means", members, add("ReduceSum", "count", members, along));
}
