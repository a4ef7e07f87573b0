/** Files that are no image, or none that can be used: each is named with its own reason, and the rest goes on. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import sharp from "sharp";
import { DataError } from "../../src/errors.ts";
import { openImages } from "../data/open.ts";
import { withFolder } from "../store/with_folder.ts";

const text = (words: string) => new TextEncoder().encode(words);
const image = (width: number, height: number, red = 200) =>
  sharp({ create: { width, height, channels: 3, background: { r: red, g: 10, b: 10 } } });

/** A PNG header with a size of its own before pixels of another. */
async function withPngSize(width: number, height: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(await image(8, 8).png().toBuffer());
  const view = new DataView(bytes.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  return bytes;
}

const noise = () =>
  sharp(Uint8Array.from({ length: 64 * 64 * 3 }, (_, at) => (at * at * 31) % 251), {
    raw: { width: 64, height: 64, channels: 3 },
  });

/** Writes files and a whole one, opens them as a folder, and gives the reason of each that is broken. */
async function reasonsOf(files: Record<string, Uint8Array>): Promise<Record<string, string>> {
  const reasons: Record<string, string> = {};
  await withFolder(async (folder) => {
    for (const [name, bytes] of Object.entries(files)) await Deno.writeFile(`${folder}/${name}`, bytes);
    await Deno.writeFile(`${folder}/whole.png`, await image(9, 9).png().toBuffer());
    const source = await openImages(`folder:${folder}`);
    const [whole] = await source.load([source.length - 1]);
    source.release();
    assertEquals([source.length, whole?.width], [Object.keys(files).length + 1, 9]);
    for (const { path, reason } of source.skipped) reasons[path.slice(folder.length + 1)] = reason;
  });
  return reasons;
}

Deno.test("only raster images are decoded, whatever a file is named", async () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>';
  const reasons = await reasonsOf({
    "good.png": await image(9, 9).png().toBuffer(),
    "jpeg_as.png": await image(9, 9).jpeg().toBuffer(),
    "svg.png": text(svg),
    "svg_mark.png": text(`\ufeff  \n${svg}`),
    "svg_xml.jpg": text(`<?xml version="1.0"?>${svg}`),
    "page.jpg": text("<!DOCTYPE html><html></html>"),
    "paper.png": text("%PDF-1.7 …"),
    "map.png": text("BM and more bytes"),
    "phone.jpg": text("\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
    "film.jpg": text("\0\0\0\x18ftypisom\0\0\0\0"),
    "a_text.webp": text("no image at all"),
    "no_bits.gif": new Uint8Array(900),
    "nothing.png": new Uint8Array(0),
    "one.jpg": Uint8Array.of(0xff),
  });
  const expected: Record<string, RegExp> = {
    "svg.png": /SVG/,
    "svg_mark.png": /SVG/,
    "svg_xml.jpg": /SVG/,
    "page.jpg": /HTML/,
    "paper.png": /PDF/,
    "map.png": /BMP/,
    "phone.jpg": /HEIC/,
    "film.jpg": /video/,
    "a_text.webp": /no image/,
    "no_bits.gif": /no image/,
    "nothing.png": /empty/,
    "one.jpg": /no image/,
  };
  assertEquals(Object.keys(reasons).sort(), Object.keys(expected).sort());
  for (const [name, pattern] of Object.entries(expected)) assertMatch(reasons[name], pattern, name);
});

Deno.test("damaged files that are decoded at once have each their own reason, every time", async () => {
  const files: Record<string, Uint8Array> = {};
  const formats = ["jpeg", "png", "webp", "gif"] as const;
  for (let copy = 0; copy < 6; copy++) {
    for (const format of formats) {
      const bytes = await noise().toFormat(format).toBuffer();
      files[`${copy}.cut.${format}`] = bytes.subarray(0, Math.floor(bytes.length * (0.4 + 0.05 * copy)));
    }
    files[`${copy}.png`] = copy % 2 ? text("no image") : new Uint8Array(0);
    const flipped = new Uint8Array(await noise().png().toBuffer());
    flipped.fill(0x55, 60, 200);
    files[`${copy}.damaged.png`] = flipped;
  }
  const names: Record<string, string> = { jpeg: "JPEG", png: "PNG", webp: "WebP", gif: "GIF" };
  for (let round = 0; round < 3; round++) {
    const reasons = await reasonsOf(files);
    assertEquals(Object.keys(reasons).length, Object.keys(files).length, JSON.stringify(reasons));
    for (const [name, reason] of Object.entries(reasons)) {
      const [copy, kind, format] = name.split(".");
      if (kind === "cut") assertEquals(reason, `its ${names[format]} data ends early`, name);
      else if (kind === "damaged") assertEquals(reason, "its PNG data is damaged", name);
      else assertMatch(reason, Number(copy) % 2 ? /no image/ : /empty/, name);
    }
  }
});

Deno.test("sizes are bounded before pixels are decoded, and the file is named", async () => {
  const reasons = await reasonsOf({
    "good.png": await image(9, 9).png().toBuffer(),
    "panorama.png": await image(1200, 40).png().toBuffer(),
    "strip.png": await image(17, 60_000).png().toBuffer(),
    "thread.png": await withPngSize(17, 3_000_000),
    "bomb.png": await withPngSize(60_000, 60_000),
    "broad.png": await withPngSize(4_000_000_000, 1),
  });
  assertEquals(Object.keys(reasons).sort(), ["bomb.png", "broad.png", "strip.png", "thread.png"]);
  assertMatch(reasons["thread.png"], /17 x 3000000 pixels; a side has at most 65535/);
  assertMatch(reasons["bomb.png"], /60000 x 60000 pixels, more than/);
  assertMatch(reasons["strip.png"], /17 x 60000 pixels, a strip too long/);
});

Deno.test("every format and kind of pixel that is read has one meaning", async () => {
  const frames = await sharp([
    await image(20, 10, 200).png().toBuffer(),
    await image(20, 10, 20).png().toBuffer(),
  ], {
    join: { animated: true },
  }).gif({ delay: [100, 100], loop: 0 }).toBuffer();
  const pages = await sharp([
    await image(20, 10, 200).png().toBuffer(),
    await image(20, 10, 20).png().toBuffer(),
  ], {
    join: { animated: true },
  }).webp({ lossless: true, delay: [100, 100] }).toBuffer();
  const clear = sharp({
    create: { width: 20, height: 10, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
  });
  const deep = sharp(Uint16Array.from({ length: 600 }, () => 0x8080), {
    raw: { width: 20, height: 10, channels: 3 },
  });
  const files: Record<string, [Uint8Array, number[]]> = {
    "animated.gif": [frames, [200, 10, 10]],
    "animated.webp": [pages, [200, 10, 10]],
    "camera.jfif": [await image(20, 10).jpeg().toBuffer(), [200, 10, 10]],
    "clear.gif": [await clear.clone().gif().toBuffer(), [255, 255, 255]],
    "clear.png": [await clear.clone().png().toBuffer(), [255, 255, 255]],
    "clear.tif": [await clear.clone().tiff({ compression: "lzw" }).toBuffer(), [255, 255, 255]],
    "cmyk.tiff": [await image(20, 10).toColourspace("cmyk").tiff().toBuffer(), [200, 10, 10]],
    "deep.png": [await deep.clone().toColourspace("rgb16").png().toBuffer(), [128, 128, 128]],
    "deep.tif": [await deep.clone().toColourspace("rgb16").tiff({ compression: "deflate" }).toBuffer(), [
      128,
      128,
      128,
    ]],
    "gray.tif": [await image(20, 10, 10).toColourspace("b-w").tiff({ compression: "none" }).toBuffer(), [
      10,
      10,
      10,
    ]],
    "small.avif": [await image(20, 10).avif({ lossless: true }).toBuffer(), [200, 10, 10]],
  };
  await withFolder(async (folder) => {
    for (const [name, [bytes]] of Object.entries(files)) await Deno.writeFile(`${folder}/${name}`, bytes);
    const runs: Uint8Array[][] = [];
    for (let round = 0; round < 2; round++) {
      const source = await openImages(`folder:${folder}`);
      assertEquals(source.skipped, []);
      const images = await source.load(Object.keys(files).map((_, index) => index));
      Object.entries(files).forEach(([name, [, expected]], index) => {
        const { width, height, pixels } = images[index]!;
        assertEquals([width, height, pixels.length], [20, 10, 800], name);
        const off = expected.map((value, channel) => Math.abs(pixels[channel] - value));
        assert(Math.max(...off) <= (name.startsWith("cmyk") ? 45 : 4), `${name}: ${pixels.subarray(0, 4)}`);
      });
      runs.push(images.map((one) => one!.pixels));
      source.release();
    }
    assertEquals(runs[0], runs[1]);
  });
});

Deno.test("samples without a defined way to 8 bits are refused", async () => {
  const reasons = await reasonsOf({
    "float.tif": floatTiff(),
    "good.png": await image(9, 9).png().toBuffer(),
  });
  assertMatch(reasons["float.tif"] ?? "", /samples are of type float/);
});

/** A gray TIFF of 4 x 4 floats. */
function floatTiff(): Uint8Array {
  const entries: [tag: number, type: number, count: number, value: number][] = [
    [256, 3, 1, 4],
    [257, 3, 1, 4],
    [258, 3, 1, 32],
    [259, 3, 1, 1],
    [262, 3, 1, 1],
    [273, 4, 1, 8],
    [277, 3, 1, 1],
    [278, 3, 1, 4],
    [279, 4, 1, 64],
    [339, 3, 1, 3],
  ];
  const directory = 8 + 64;
  const bytes = new Uint8Array(directory + 2 + 12 * entries.length + 4);
  const view = new DataView(bytes.buffer);
  bytes.set([0x49, 0x49, 42, 0]);
  view.setUint32(4, directory, true);
  for (let at = 0; at < 16; at++) view.setFloat32(8 + 4 * at, at / 16, true);
  view.setUint16(directory, entries.length, true);
  entries.forEach(([tag, type, count, value], index) => {
    const at = directory + 2 + 12 * index;
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, type, true);
    view.setUint32(at + 4, count, true);
    if (type === 3) view.setUint16(at + 8, value, true);
    else view.setUint32(at + 8, value, true);
  });
  return bytes;
}

Deno.test("strict stops at the first of them", () =>
  withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/good.png`, await image(9, 9).png().toBuffer());
    await Deno.writeFile(`${folder}/vector.png`, text("<svg/>"));
    await assertRejects(() => openImages(`folder:${folder}`, { strict: true }), DataError, "vector.png");
  }));
