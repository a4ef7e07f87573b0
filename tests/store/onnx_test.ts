import { assertEquals, assertRejects } from "@std/assert";
import { PbfReader } from "pbf";
import { DataError } from "../../src/errors.ts";
import { encodeOnnx, type OnnxModel } from "../../src/store/onnx/encode.ts";

const model: OnnxModel = {
  irVersion: 8,
  opset: 17,
  producer: { name: "scion", version: "1.2.3" },
  metadata: { arch: "8-8.8-1.1" },
  graph: {
    name: "encoder",
    nodes: [{
      name: "first",
      operator: "Conv",
      inputs: ["images", "weight"],
      outputs: ["maps"],
      attributes: { strides: [2, 300], group: 1, auto_pad: "VALID" },
    }],
    initializers: [
      { name: "weight", shape: [2, 1], data: Float32Array.of(1.5, -2) },
      { name: "side", shape: [], data: BigInt64Array.of(-3n) },
    ],
    inputs: [{ name: "images", shape: ["N", 3] }],
    outputs: [{ name: "maps", shape: ["N", 2] }],
  },
};

type Message = Map<number, (number | Message | Uint8Array)[]>;

/** Reads a message by nothing but the wire format; fields in `nested` are messages themselves. */
function decode(bytes: Uint8Array, nested: Record<number, unknown>): Message {
  return new PbfReader(bytes).readFields((tag, message: Message, reader) => {
    const inner = nested[tag] as Record<number, unknown> | undefined;
    const value = reader.type === 0
      ? reader.readVarint()
      : inner
      ? decode(reader.readBytes(), inner)
      : reader.readBytes().slice();
    message.set(tag, [...message.get(tag) ?? [], value]);
  }, new Map());
}

const text = (value: unknown) => new TextDecoder().decode(value as Uint8Array);

Deno.test("a model is encoded with the field numbers of onnx.proto", async () => {
  const dimension = {};
  const value = { 2: { 1: { 2: { 1: dimension } } } };
  const root = decode(await encodeOnnx(model), {
    7: { 1: { 5: {} }, 5: {}, 11: value, 12: value },
    8: {},
    14: {},
  });
  assertEquals(root.get(1), [8]);
  assertEquals([text(root.get(2)![0]), text(root.get(3)![0])], ["scion", "1.2.3"]);
  assertEquals((root.get(8)![0] as Message).get(2), [17]);
  const entry = root.get(14)![0] as Message;
  assertEquals([text(entry.get(1)![0]), text(entry.get(2)![0])], ["arch", "8-8.8-1.1"]);

  const graph = root.get(7)![0] as Message;
  assertEquals(text(graph.get(2)![0]), "encoder");
  const node = graph.get(1)![0] as Message;
  assertEquals(node.get(1)!.map(text), ["images", "weight"]);
  assertEquals([node.get(2)!, node.get(3)!, node.get(4)!].map(([name]) => text(name)), [
    "maps",
    "first",
    "Conv",
  ]);
  const [strides, group, padding] = node.get(5) as Message[];
  assertEquals([text(strides.get(1)![0]), strides.get(8), strides.get(20)], ["strides", [2, 300], [7]]);
  assertEquals([text(group.get(1)![0]), group.get(3), group.get(20)], ["group", [1], [2]]);
  assertEquals([text(padding.get(1)![0]), text(padding.get(4)![0]), padding.get(20)], ["auto_pad", "VALID", [
    3,
  ]]);

  const constant = graph.get(5)![0] as Message;
  assertEquals([constant.get(1), constant.get(2), text(constant.get(8)![0])], [[2, 1], [1], "weight"]);
  assertEquals(
    new Float32Array((constant.get(9)![0] as Uint8Array).slice().buffer),
    Float32Array.of(1.5, -2),
  );
  const whole = graph.get(5)![1] as Message;
  assertEquals([constant.get(2), whole.get(1), whole.get(2)], [[1], undefined, [7]]);
  assertEquals(new BigInt64Array((whole.get(9)![0] as Uint8Array).slice().buffer), BigInt64Array.of(-3n));

  const type = ((graph.get(11)![0] as Message).get(2)![0] as Message).get(1)![0] as Message;
  assertEquals(type.get(1), [1]);
  const [batch, channels] = (type.get(2)![0] as Message).get(1) as Message[];
  assertEquals([text(batch.get(2)![0]), channels.get(1)], ["N", [3]]);
  assertEquals(text((graph.get(12)![0] as Message).get(1)![0]), "maps");
});

Deno.test("a constant that does not fill its shape is refused", async () => {
  const initializers = [{ name: "weight", shape: [3], data: Float32Array.of(1, 2) }];
  await assertRejects(
    () => encodeOnnx({ ...model, graph: { ...model.graph, initializers } }),
    DataError,
    "2 values for the shape [3]",
  );
});
