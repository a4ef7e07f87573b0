/** Adaptive pooling as ONNX nodes, worked out node by node, is PyTorch's for maps of every size. */
import { assertEquals } from "@std/assert";
import { addGridPool } from "../../src/nn/onnx_grid_pool.ts";
import { OnnxGraph } from "../../src/nn/onnx_graph.ts";
import { assertClose, randomValues } from "../helpers.ts";

/** What an array is of: a number, or several of what lies within. */
type Nested = number | Nested[];

const one = (value: Nested) => value as number;
const rows = (value: Nested) => value as number[][];

/** Applies an operation to two values of which one may have fewer dimensions, or a single entry along some. */
function broadcast(a: Nested, b: Nested, operation: (a: number, b: number) => number): Nested {
  const depth = (value: Nested): number => Array.isArray(value) ? 1 + depth(value[0]) : 0;
  if (depth(a) === 0 && depth(b) === 0) return operation(one(a), one(b));
  const list = (value: Nested, other: Nested) => depth(value) < depth(other) ? [value] : value as Nested[];
  const [left, right] = [list(a, b), list(b, a)];
  return Array.from(
    { length: Math.max(left.length, right.length) },
    (_, at) => broadcast(left[left.length === 1 ? 0 : at], right[right.length === 1 ? 0 : at], operation),
  );
}

function product(a: number[][], b: number[][]): number[][] {
  return a.map((row) =>
    b[0].map((_, column) => row.reduce((sum, value, at) => sum + value * b[at][column], 0))
  );
}

/** The operators of the pooling, as ONNX defines them, over one channel of one image. */
const operators: Record<string, (inputs: Nested[], attributes: Record<string, unknown>) => Nested> = {
  Shape: ([map], { start }) => [start === 2 ? rows(map).length : rows(map)[0].length],
  Squeeze: ([list]) => (list as Nested[])[0],
  Range: ([start, limit, step]) =>
    Array.from(
      { length: Math.ceil((one(limit) - one(start)) / one(step)) },
      (_, at) => one(start) + at * one(step),
    ),
  Add: ([a, b]) => broadcast(a, b, (x, y) => x + y),
  Mul: ([a, b]) => broadcast(a, b, (x, y) => x * y),
  Div: ([a, b]) => broadcast(a, b, (x, y) => x / y),
  Greater: ([a, b]) => broadcast(a, b, (x, y) => Number(x > y)),
  Less: ([a, b]) => broadcast(a, b, (x, y) => Number(x < y)),
  And: ([a, b]) => broadcast(a, b, (x, y) => x & y),
  Cast: ([value]) => value,
  ReduceSum: ([value]) => rows(value).map((row) => [row.reduce((sum, x) => sum + x, 0)]),
  Transpose: ([value]) => rows(value)[0].map((_, at) => rows(value).map((row) => row[at])),
  MatMul: ([a, b]) => product(rows(a), rows(b)),
};

/** A flat list as an array of some shape. */
function nest(values: readonly number[], [length, ...inner]: readonly number[]): Nested {
  if (length === undefined) return values[0];
  const each = values.length / length;
  return Array.from({ length }, (_, at) => nest(values.slice(at * each, (at + 1) * each), inner));
}

function evaluate(graph: OnnxGraph, map: number[][], result: string): number[][] {
  const known = new Map<string, Nested>([["map", map]]);
  for (const { name, data, shape } of graph.constants) known.set(name, nest([...data].map(Number), shape));
  for (const { operator, inputs, outputs: [output], attributes } of graph.nodes) {
    known.set(output, operators[operator](inputs.map((name) => known.get(name)!), attributes));
  }
  return rows(known.get(result)!);
}

/** Means of the pixels from floor(k L / side) to ceil((k + 1) L / side) along each axis. */
function reference(map: number[][], side: number): number[] {
  const part = (list: number[][] | number[], cell: number) =>
    list.slice(Math.floor(cell * list.length / side), Math.ceil((cell + 1) * list.length / side));
  return Array.from({ length: side * side }, (_, cell) => {
    const pixels = (part(map, Math.floor(cell / side)) as number[][]).flatMap((row) =>
      part(row, cell % side) as number[]
    );
    return pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
  });
}

Deno.test("pooling to 2, 3 and 6 cells a side, of maps of 1 to 13 pixels a side", () => {
  for (const side of [2, 3, 6]) {
    const graph = new OnnxGraph(new Map());
    assertEquals(addGridPool(graph, "pool", "map", side), "pool");
    for (let height = 1; height <= 13; height++) {
      const width = 14 - height;
      const map = nest([...randomValues(height * width, height)], [height, width]) as number[][];
      assertClose(
        evaluate(graph, map, "pool").flat(),
        reference(map, side),
        1e-12,
        `${height} x ${width} to ${side}`,
      );
    }
  }
});

Deno.test("a single cell is the operator that ONNX has", () => {
  const graph = new OnnxGraph(new Map());
  addGridPool(graph, "pool", "map", 1);
  assertEquals(graph.nodes.map(({ operator, inputs, outputs }) => [operator, inputs, outputs]), [
    ["GlobalAveragePool", ["map"], ["pool"]],
  ]);
});
