import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { expectTensorSize } from "../../src/data/tensor_file.ts";
import { ConfigurationError, DataError } from "../../src/errors.ts";
import { type TensorData, writeSafetensors } from "../../src/store/safetensors.ts";
import { openTensors } from "./open.ts";

const images: TensorData = {
  dtype: "F32",
  shape: [2, 3, 4, 5],
  data: Float32Array.from({ length: 120 }, (_, at) => at / 7 - 3),
};

async function withFile(tensors: Record<string, TensorData>, test: (spec: string) => Promise<void>) {
  const root = await Deno.makeTempDir();
  try {
    await writeSafetensors(`${root}/set.safetensors`, Object.entries(tensors));
    await test(`tensor:${root}/set.safetensors`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("a tensor file gives its images as they are, with I32, I64 or no labels", async () => {
  const expected = Int32Array.of(4, 0);
  await withFile({ images, labels: { dtype: "I32", shape: [2], data: expected } }, async (spec) => {
    const source = await openTensors(spec);
    const { length, channels, height, width } = source;
    assertEquals([length, channels, height, width], [2, 3, 4, 5]);
    assertEquals([source.images, source.labels], [images.data, expected]);
    source.release();
  });
  await withFile(
    { images, labels: { dtype: "I64", shape: [2], data: BigInt64Array.of(4n, 0n) } },
    async (spec) => {
      assertEquals((await openTensors(spec)).labels, expected);
    },
  );
  await withFile({ images }, async (spec) => assertEquals((await openTensors(spec)).labels, undefined));
});

Deno.test("a tensor file with other tensors is refused", async () => {
  await assertRejects(() => openTensors("tensor:nowhere.safetensors"), ConfigurationError, "does not exist");
  await assertRejects(() => openTensors("tensor:tests"), ConfigurationError, "is no file");
  await withFile({ pictures: images }, async (spec) => {
    await assertRejects(() => openTensors(spec), DataError, '"images"');
  });
  const oneChannel: TensorData = { ...images, shape: [6, 1, 4, 5] } as TensorData;
  await withFile({ images: oneChannel }, async (spec) => {
    await assertRejects(() => openTensors(spec), DataError, "expected F32");
  });
  await withFile(
    { images: { dtype: "F32", shape: [0, 3, 4, 5], data: new Float32Array(0) } },
    async (spec) => {
      await assertRejects(() => openTensors(spec), DataError, "is empty");
    },
  );
  await withFile(
    { images, labels: { dtype: "I32", shape: [3], data: Int32Array.of(0, 1, 2) } },
    async (spec) => {
      await assertRejects(() => openTensors(spec), DataError, '"labels"');
    },
  );
  for (const wrong of [-1n, 2n ** 31n]) {
    await withFile(
      { images, labels: { dtype: "I64", shape: [2], data: BigInt64Array.of(0n, wrong) } },
      async (spec) => {
        await assertRejects(() => openTensors(spec), DataError, `label 1 is ${wrong}`);
      },
    );
  }
});

Deno.test("a value that is not finite is refused with its image and place", async () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    const data = images.data.slice() as Float32Array<ArrayBuffer>;
    // Image 1, channel 2, row 3, column 4 is the last; image 0, channel 1, row 0, column 2 the other.
    for (const [at, place] of [[119, "image 1 has"], [22, "image 0 has"]] as const) {
      const spoilt = data.slice();
      spoilt[at] = value;
      await withFile({ images: { ...images, data: spoilt } as TensorData }, async (spec) => {
        const error = await assertRejects(() => openTensors(spec), DataError, place);
        const [channel, row, column] = at === 119 ? [2, 3, 4] : [1, 0, 2];
        assertStringIncludes(
          error.message,
          `the value ${value} in channel ${channel}, row ${row}, column ${column}`,
        );
      });
    }
  }
});

Deno.test("images of another size than the network's are refused with both sizes", async () => {
  await withFile({ images }, async (spec) => {
    const source = await openTensors(spec);
    const error = assertThrows(() => expectTensorSize(source, 32, () => "Mend it."), DataError);
    assertStringIncludes(error.message, "4 x 5 pixels; the network's are 32 x 32 (data.imageSize). Mend it.");
  });
});
