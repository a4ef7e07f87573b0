/**
 * The part of ONNX's protobuf schema that a convolutional network needs, with the field numbers of `onnx.proto`.
 * The wire format itself is the `pbf` package's.
 */
import type { PbfWriter } from "pbf";
import { DataError } from "../../errors.ts";
import { elementCount, formatShape } from "../safetensors_header.ts";

/** An attribute of an operator: an integer, a list of them, or a word. */
export type OnnxAttribute = number | string | readonly number[];

/** An operator's use. */
export interface OnnxNode {
  readonly name: string;
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A float input or output; a dimension is a size, or a name for one that is free. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly (number | string)[];
}

/** A constant of floats, or of integers of 64 bits, row-major. */
export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

/** A model of one graph over ONNX's default operators. */
export interface OnnxModel {
  readonly irVersion: number;
  readonly opset: number;
  readonly producer: { readonly name: string; readonly version: string };
  readonly metadata: Readonly<Record<string, string>>;
  readonly graph: {
    readonly name: string;
    readonly nodes: readonly OnnxNode[];
    readonly initializers: readonly OnnxTensor[];
    readonly inputs: readonly OnnxValue[];
    readonly outputs: readonly OnnxValue[];
  };
}

/** Protobuf's own bound on a message. */
const maximumBytes = 2 ** 31 - 1;
/** TensorProto.DataType. */
export const onnxType = { float: 1, integer: 7 } as const;
/** AttributeProto.AttributeType. */
const attributeType = { integer: 2, word: 3, integers: 7 };

/**
 * A model file's bytes.
 *
 * @throws {DataError} when the constants are more than the 2 GiB that the format holds
 */
export async function encodeOnnx(model: OnnxModel): Promise<Uint8Array> {
  const weightBytes = model.graph.initializers.reduce((sum, { data }) => sum + data.byteLength, 0);
  if (weightBytes > 0.99 * maximumBytes) {
    throw new DataError(
      `The weights take ${weightBytes} bytes; an ONNX file holds at most ${maximumBytes}. Write .safetensors.`,
    );
  }
  const { PbfWriter } = await import("pbf");
  // Room for everything at once: growing would copy the weights again and again.
  const writer = new PbfWriter(new Uint8Array(weightBytes + 2 ** 18));
  writeModel(model, writer);
  return writer.finish();
}

function writeModel({ irVersion, opset, producer, metadata, graph }: OnnxModel, pbf: PbfWriter): void {
  pbf.writeVarintField(1, irVersion);
  pbf.writeStringField(2, producer.name);
  pbf.writeStringField(3, producer.version);
  pbf.writeMessage(7, writeGraph, graph);
  pbf.writeMessage(8, writeOpset, opset);
  for (const entry of Object.entries(metadata)) pbf.writeMessage(14, writeMetadataEntry, entry);
}

function writeOpset(version: number, pbf: PbfWriter): void {
  pbf.writeVarintField(2, version);
}

function writeMetadataEntry([key, value]: [string, string], pbf: PbfWriter): void {
  pbf.writeStringField(1, key);
  pbf.writeStringField(2, value);
}

function writeGraph(
  { name, nodes, initializers, inputs, outputs }: OnnxModel["graph"],
  pbf: PbfWriter,
): void {
  for (const node of nodes) pbf.writeMessage(1, writeNode, node);
  pbf.writeStringField(2, name);
  for (const tensor of initializers) pbf.writeMessage(5, writeTensor, tensor);
  for (const value of inputs) pbf.writeMessage(11, writeValue, value);
  for (const value of outputs) pbf.writeMessage(12, writeValue, value);
}

function writeNode({ name, operator, inputs, outputs, attributes }: OnnxNode, pbf: PbfWriter): void {
  for (const input of inputs) pbf.writeStringField(1, input);
  for (const output of outputs) pbf.writeStringField(2, output);
  pbf.writeStringField(3, name);
  pbf.writeStringField(4, operator);
  for (const entry of Object.entries(attributes)) pbf.writeMessage(5, writeAttribute, entry);
}

function writeAttribute([name, value]: [string, OnnxAttribute], pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  if (typeof value === "number") pbf.writeVarintField(3, value);
  else if (typeof value === "string") pbf.writeStringField(4, value);
  else for (const one of value) pbf.writeVarintField(8, one);
  const type = typeof value === "number" ? "integer" : typeof value === "string" ? "word" : "integers";
  pbf.writeVarintField(20, attributeType[type]);
}

function writeTensor({ name, shape, data }: OnnxTensor, pbf: PbfWriter): void {
  if (data.length !== elementCount(shape)) {
    throw new DataError(`ONNX constant ${name}: ${data.length} values for the shape ${formatShape(shape)}.`);
  }
  for (const size of shape) pbf.writeVarintField(1, size);
  pbf.writeVarintField(2, data instanceof Float32Array ? onnxType.float : onnxType.integer);
  pbf.writeStringField(8, name);
  pbf.writeBytesField(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function writeValue({ name, shape }: OnnxValue, pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  pbf.writeMessage(2, writeType, shape);
}

function writeType(shape: OnnxValue["shape"], pbf: PbfWriter): void {
  pbf.writeMessage(1, writeTensorType, shape);
}

function writeTensorType(shape: OnnxValue["shape"], pbf: PbfWriter): void {
  pbf.writeVarintField(1, onnxType.float);
  pbf.writeMessage(2, writeShape, shape);
}

function writeShape(shape: OnnxValue["shape"], pbf: PbfWriter): void {
  for (const size of shape) pbf.writeMessage(1, writeDimension, size);
}

function writeDimension(size: number | string, pbf: PbfWriter): void {
  if (typeof size === "number") pbf.writeVarintField(1, size);
  else pbf.writeStringField(2, size);
}
