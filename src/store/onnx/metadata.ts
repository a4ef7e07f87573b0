/** The metadata of an ONNX file: what is written beside the graph, such as the size of its images. */

/** Field numbers of `onnx.proto`: ModelProto.metadata_props, and StringStringEntryProto's two. */
const field = { metadata: 14, key: 1, value: 2 };

/**
 * Reads `metadata_props`, passing over the graph.
 *
 * @param bytes a model that ONNX Runtime could open
 * @returns values by key
 */
export async function readOnnxMetadata(bytes: Uint8Array): Promise<Record<string, string>> {
  const { PbfReader } = await import("pbf");
  const metadata: Record<string, string> = {};
  new PbfReader(bytes).readFields((tag, found: Record<string, string>, reader) => {
    if (tag !== field.metadata) return;
    const entry = reader.readMessage(
      (tag, entry: { key: string; value: string }, reader) => {
        if (tag === field.key) entry.key = reader.readString();
        else if (tag === field.value) entry.value = reader.readString();
      },
      { key: "", value: "" },
    );
    found[entry.key] = entry.value;
  }, metadata);
  return metadata;
}
