/** What an ONNX file says of its network: inputs, outputs and metadata, with the field numbers of `onnx.proto`. */
import type { PbfReader } from "pbf";
import { DataError } from "../../errors.ts";

/** An input or output of a network. */
export interface OnnxPort {
  readonly name: string;
  /** TensorProto.DataType; 1 is float32. */
  readonly type: number;
  /** A size, or undefined where it is free; undefined altogether where the file does not say. */
  readonly shape: readonly (number | undefined)[] | undefined;
}

/** A network's face. */
export interface OnnxDescription {
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  readonly metadata: Readonly<Record<string, string>>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Reads a file. Constants that older files list among the inputs are left out.
 * @throws {DataError} when it cannot be read or is no ONNX file
 */
export async function describeOnnxFile(path: string): Promise<OnnxDescription> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new DataError(`Cannot read ${path}: ${error.message}.`, { cause: error });
  }
  const { PbfReader } = await import("pbf");
  const graph = { inputs: [] as OnnxPort[], outputs: [] as OnnxPort[], constants: new Set<string>() };
  const metadata: Record<string, string> = {};
  let hasGraph = false;
  try {
    new PbfReader(bytes).readFields((tag, _, pbf) => {
      if (tag === 7) {
        hasGraph = true;
        pbf.readMessage(readGraph, graph);
      } else if (tag === 14) {
        const { key, value } = pbf.readMessage(readEntry, { key: "", value: "" });
        metadata[key] = value;
      }
    }, undefined);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new DataError(`${path} is no ONNX file: ${error.message}.`, { cause: error });
  }
  if (!hasGraph || graph.outputs.length === 0) {
    throw new DataError(`${path} is no ONNX file: it holds no network.`);
  }
  const inputs = graph.inputs.filter(({ name }) => !graph.constants.has(name));
  return { inputs, outputs: graph.outputs, metadata };
}

function readEntry(tag: number, entry: { key: string; value: string }, pbf: PbfReader): void {
  if (tag === 1) entry.key = pbf.readString();
  else if (tag === 2) entry.value = pbf.readString();
}

function readGraph(
  tag: number,
  graph: { inputs: OnnxPort[]; outputs: OnnxPort[]; constants: Set<string> },
  pbf: PbfReader,
): void {
  if (tag === 5) graph.constants.add(pbf.readMessage(readConstant, { name: "" }).name);
  else if (tag === 11) graph.inputs.push(readPort(pbf));
  else if (tag === 12) graph.outputs.push(readPort(pbf));
}

function readConstant(tag: number, constant: { name: string }, pbf: PbfReader): void {
  if (tag === 8) constant.name = pbf.readString();
}

function readPort(pbf: PbfReader): OnnxPort {
  const port: Mutable<OnnxPort> = { name: "", type: 0, shape: undefined };
  return pbf.readMessage((tag, found, pbf) => {
    if (tag === 1) found.name = pbf.readString();
    else if (tag === 2) pbf.readMessage(readType, found);
  }, port);
}

function readType(tag: number, port: Mutable<OnnxPort>, pbf: PbfReader): void {
  if (tag === 1) pbf.readMessage(readTensorType, port);
}

function readTensorType(tag: number, port: Mutable<OnnxPort>, pbf: PbfReader): void {
  if (tag === 1) port.type = pbf.readVarint();
  else if (tag === 2) port.shape = pbf.readMessage(readShape, [] as (number | undefined)[]);
}

function readShape(tag: number, shape: (number | undefined)[], pbf: PbfReader): void {
  if (tag !== 1) return;
  const { size } = pbf.readMessage(readDimension, { size: undefined as number | undefined });
  shape.push(size);
}

function readDimension(tag: number, dimension: { size: number | undefined }, pbf: PbfReader): void {
  if (tag === 1) dimension.size = pbf.readVarint();
}
