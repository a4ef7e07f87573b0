import { assert, assertEquals, assertRejects } from "@std/assert";
import sharp from "sharp";
import { crc32 } from "../../../src/data/dense/crc32.ts";
import { decodeLabelPng } from "../../../src/data/dense/label_png.ts";
import { encodeLabelPng, standardPalette } from "../../../src/data/dense/write_label_png.ts";
import { DataError, ShapeError } from "../../../src/errors.ts";
import { purpose, Random } from "../../../src/random.ts";

const random = new Random(3, purpose.test);
const ids = (length: number, limit: number) => Uint8Array.from({ length }, () => random.integer(limit));

async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = ReadableStream.from([bytes]).pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(kind: string, content: Uint8Array | number[]): number[] {
  const body = [...new TextEncoder().encode(kind), ...content];
  const words = new DataView(new ArrayBuffer(8));
  words.setUint32(0, content.length);
  words.setUint32(4, crc32(Uint8Array.from(body)));
  const bytes = [...new Uint8Array(words.buffer)];
  return [...bytes.slice(0, 4), ...body, ...bytes.slice(4)];
}

const start = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const word = (value: number) => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];
const header = (width: number, height: number, bits: number, colour: number, interlace = 0) =>
  chunk("IHDR", [...word(width), ...word(height), bits, colour, 0, 0, interlace]);
const file = (...parts: number[][]) => Uint8Array.from([...start, ...parts.flat()]);
const end = chunk("IEND", []);

Deno.test("gray and palette labels of this writer keep their ids, and other programs see them", async () => {
  const values = ids(7 * 5, 256);
  const gray = await encodeLabelPng(values, 7, 5);
  assertEquals(await decodeLabelPng(gray), { width: 7, height: 5, values });
  assertEquals(new Uint8Array(await sharp(gray).extractChannel(0).raw().toBuffer()), values);

  const palette = standardPalette();
  const coloured = await encodeLabelPng(values, 7, 5, palette);
  assertEquals(await decodeLabelPng(coloured), { width: 7, height: 5, values, palette });
  const colours = new Uint8Array(await sharp(coloured).removeAlpha().raw().toBuffer());
  assertEquals(
    colours,
    Uint8Array.from([...values].flatMap((id) => [...palette.subarray(3 * id, 3 * id + 3)])),
  );

  const wide = Uint16Array.from({ length: 6 }, (_, at) => at * 13000);
  assertEquals(await decodeLabelPng(await encodeLabelPng(wide, 3, 2)), { width: 3, height: 2, values: wide });
});

Deno.test("the first colours of VOC's palette", () => {
  const palette = standardPalette();
  assertEquals([...palette.subarray(0, 9)], [0, 0, 0, 128, 0, 0, 0, 128, 0]);
  assertEquals([...palette.subarray(45, 48)], [192, 128, 128], "15, person");
  assertEquals([...palette.subarray(765)], [224, 224, 192], "255, border");
});

Deno.test("files of another encoder, with every filter and in passes, at 8 bits", async () => {
  const width = 29, height = 23;
  // Smooth, so that an adaptive encoder uses all filters.
  const values = Uint8Array.from(
    { length: width * height },
    (_, at) => (at % width) * 3 + Math.floor(at / width) * 5 + random.integer(3),
  );
  const raw = { raw: { width, height, channels: 1 as const } };
  for (const progressive of [false, true]) {
    const bytes = await sharp(values, raw).toColourspace("b-w").png({ adaptiveFiltering: true, progressive })
      .toBuffer();
    assertEquals(await decodeLabelPng(bytes), { width, height, values }, `progressive ${progressive}`);
  }
});

Deno.test("every filter, by hand, of 16 bits", async () => {
  const rows = [[0, 1, 2, 3, 4], [1, 1, 2, 3, 4], [2, 1, 2, 3, 4], [3, 10, 20, 30, 40], [4, 1, 1, 255, 255]];
  const bytes = file(header(2, 5, 16, 0), chunk("IDAT", await deflate(Uint8Array.from(rows.flat()))), end);
  const { values } = await decodeLabelPng(bytes);
  const sub = [1, 2, 4, 6], up = [2, 4, 7, 10];
  const average = [10 + 1, 20 + 2, 30 + ((11 + 7) >> 1), 40 + ((22 + 10) >> 1)];
  // Paeth: left + up - corner decides; here the nearest is up, up, up, up.
  const paeth = [12, 23, (255 + average[2]) & 255, (255 + average[3]) & 255];
  const expected = [[1, 2, 3, 4], sub, up, average, paeth].flatMap((
    [a, b, c, d],
  ) => [256 * a + b, 256 * c + d]);
  assertEquals([...values], expected);
});

Deno.test("1, 2 and 4 bits, gray and palette, whole and in passes: values are not stretched", async () => {
  for (const bits of [1, 2, 4]) {
    for (const colour of [0, 3]) {
      for (const [width, height] of [[1, 1], [3, 2], [9, 11], [17, 5]]) {
        const wanted = ids(width * height, 2 ** bits);
        const pack = (values: number[]) => {
          const bytes = new Array<number>(Math.ceil(values.length * bits / 8)).fill(0);
          values.forEach((value, at) => bytes[(at * bits) >> 3] |= value << (8 - bits - ((at * bits) & 7)));
          return [0, ...bytes];
        };
        const pass = ([left, top, stepX, stepY]: readonly number[]) => {
          const rows: number[] = [];
          if (left >= width) return rows;
          for (let y = top; y < height; y += stepY) {
            const row: number[] = [];
            for (let x = left; x < width; x += stepX) row.push(wanted[y * width + x]);
            rows.push(...pack(row));
          }
          return rows;
        };
        const passes = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [
          0,
          1,
          1,
          2,
        ]] as const;
        for (const interlace of [0, 1]) {
          const data = interlace ? passes.flatMap((one) => pass(one)) : pass([0, 0, 1, 1]);
          const palette = colour === 3 ? [chunk("PLTE", new Uint8Array(3 * 2 ** bits))] : [];
          const bytes = file(
            header(width, height, bits, colour, interlace),
            ...palette,
            chunk("tEXt", [65, 0, 66]),
            chunk("IDAT", await deflate(Uint8Array.from(data))),
            end,
          );
          const { values } = await decodeLabelPng(bytes);
          assertEquals(values, wanted, `${bits} bits, colour ${colour}, ${width} x ${height}, ${interlace}`);
        }
      }
    }
  }
});

Deno.test("files that are no labels, damaged or made to hurt are refused with a reason", async () => {
  const good = await encodeLabelPng(ids(64, 9), 8, 8);
  const rows = await deflate(new Uint8Array(2 * 3));
  const bomb = await deflate(new Uint8Array(2 ** 24));
  const flipped = good.slice();
  flipped[good.length - 20] ^= 1;
  const raw = { raw: { width: 2, height: 2, channels: 3 as const } };
  const cases: [Uint8Array, string][] = [
    [new Uint8Array(), "no PNG"],
    [Uint8Array.of(0xff, 0xd8, 0xff, 0xe0), "no PNG"],
    [good.subarray(0, 20), "ends early"],
    [good.subarray(0, good.length - 12), "ends early"],
    [good.subarray(0, good.length - 1), "ends early"],
    [flipped, "the checksum of its part IDAT is wrong"],
    [
      await sharp(new Uint8Array(12), raw).png().toBuffer(),
      "red, green and blue where labels are one number",
    ],
    [file(header(2, 2, 8, 4), chunk("IDAT", rows), end), "gray with transparency"],
    [file(header(2 ** 31, 1, 8, 0), chunk("IDAT", rows), end), "2147483648 x 1 pixels; at most 65535 a side"],
    [file(header(65535, 65535, 8, 0), chunk("IDAT", rows), end), "65535 x 65535 pixels"],
    [file(header(16000, 16000, 8, 0), chunk("IDAT", rows), end), "its pixels end early"],
    [file(header(2, 2, 8, 0), chunk("IDAT", bomb), end), "more pixels than its size says"],
    [file(header(0, 2, 8, 0), chunk("IDAT", rows), end), "damaged"],
    [file(header(2, 2, 3, 0), chunk("IDAT", rows), end), "damaged"],
    [file(header(2, 2, 16, 3), chunk("IDAT", rows), end), "damaged"],
    [file(header(2, 2, 8, 3), chunk("IDAT", rows), end), "no palette"],
    [
      file(header(2, 2, 1, 3), chunk("PLTE", new Uint8Array(9)), chunk("IDAT", rows), end),
      "palette has a wrong length",
    ],
    [file(header(2, 2, 8, 0), end), "its pixels end early"],
    [file(header(2, 2, 8, 0), chunk("IDAT", [1, 2, 3]), end), "damaged or end early"],
    [file(header(2, 2, 8, 0), chunk("IDAT", rows.subarray(0, 4)), end), "its pixels end early"],
    [
      file(header(2, 2, 8, 0), chunk("IDAT", await deflate(Uint8Array.of(9, 0, 0, 0, 0, 0))), end),
      "filter 9",
    ],
    [file(header(2, 2, 8, 0), chunk("ABCD", []), chunk("IDAT", rows), end), "part ABCD, which is unknown"],
    [file(chunk("IDAT", rows), end), "does not begin with its size"],
    [file([...word(2 ** 31), 73, 72, 68, 82, 0, 0, 0, 0]), "ends early"],
  ];
  for (const [bytes, reason] of cases) await assertRejects(() => decodeLabelPng(bytes), DataError, reason);
});

Deno.test("no damage of a file gives other ids without a word", async () => {
  const values = ids(40, 12);
  const good = await encodeLabelPng(values, 8, 5, standardPalette());
  let refused = 0;
  for (let at = 0; at < good.length; at++) {
    const bad = good.slice();
    bad[at] ^= 1 << random.integer(8);
    const decoded = await decodeLabelPng(bad).catch((error) => {
      assert(error instanceof DataError, `byte ${at}: ${error}`);
      refused++;
    });
    if (decoded) assertEquals(decoded.values, values);
  }
  assertEquals(refused, good.length);
});

Deno.test("what cannot be written is refused", async () => {
  await assertRejects(
    () => encodeLabelPng(new Uint8Array(3), 2, 2),
    ShapeError,
    "2 x 2 pixels cannot have 3 values",
  );
  await assertRejects(
    () => encodeLabelPng(Uint8Array.of(2), 1, 1, new Uint8Array(6)),
    DataError,
    "id 2 has no colour",
  );
  await assertRejects(
    () => encodeLabelPng(Uint8Array.of(0), 1, 1, new Uint8Array(5)),
    DataError,
    "not 5 bytes",
  );
});
