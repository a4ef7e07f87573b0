/** Files of every kind, as training and as evaluation see them; see docs/images.md. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import sharp, { type Sharp } from "sharp";
import { decodeImage } from "../../src/data/decode.ts";
import { evaluationImage } from "../../src/data/evaluation_image.ts";
import { assertClose } from "../helpers.ts";
import { rgbOf } from "./images.ts";

const sizes = { imageSize: 16, resize: 18, storedSide: 100 };
const [width, height] = [40, 30];

/** A picture whose four corners are dark, red, green, blue: top left, top right, bottom left, bottom right. */
function corners(): Sharp {
  const pixels = Uint8Array.from({ length: 3 * width * height }, (_, at) => {
    const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)];
    const quarter = 2 * Number(y >= height / 2) + Number(x >= width / 2);
    return quarter > 0 && at % 3 === quarter - 1 ? 180 + x : 20 + y;
  });
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

const transparent = (alpha: number) =>
  sharp({ create: { width, height, channels: 4, background: { r: 200, g: 0, b: 0, alpha } } });

function deep(channels: 1 | 3, value: number) {
  const raw = sharp(new Uint16Array(width * height * channels).fill(value), {
    raw: { width, height, channels },
  });
  return raw.toColourspace(channels === 1 ? "grey16" : "rgb16").png().toBuffer();
}

const kinds: Record<string, () => Promise<Uint8Array>> = {
  "JPEG": () => corners().jpeg({ quality: 95 }).toBuffer(),
  "gray JPEG": () => corners().grayscale().jpeg().toBuffer(),
  "CMYK JPEG": () => corners().toColourspace("cmyk").jpeg().toBuffer(),
  "gray PNG": () => corners().grayscale().png().toBuffer(),
  "PNG with a palette": () => corners().png({ palette: true, colours: 16 }).toBuffer(),
  "PNG with alpha": () => corners().ensureAlpha(0.3).png().toBuffer(),
  "gray PNG with alpha": () => corners().grayscale().ensureAlpha(0.7).png().toBuffer(),
  "PNG of 16 bits": () => deep(3, 0x8180),
  "gray PNG of 16 bits": () => deep(1, 0x8180),
  "Display P3": () => corners().withIccProfile("p3").jpeg({ quality: 95 }).toBuffer(),
  "WebP": () => corners().webp().toBuffer(),
  "GIF": () => corners().gif().toBuffer(),
  "TIFF": () => corners().tiff().toBuffer(),
};
for (let orientation = 2; orientation <= 8; orientation++) {
  kinds[`JPEG turned by EXIF ${orientation}`] = () =>
    corners().withMetadata({ orientation }).jpeg().toBuffer();
}

for (const [kind, encode] of Object.entries(kinds)) {
  Deno.test(`evaluation cuts out of the whole image that training sees: ${kind}`, async () => {
    const file = await encode();
    const whole = await decodeImage(file, "training", sizes);
    assertEquals([whole.width, whole.height].sort(), [height, width]);
    const seen = await decodeImage(file, "evaluation", sizes);
    assertEquals(seen, evaluationImage(whole, sizes));
    assert(seen.pixels.every((value, at) => at % 4 < 3 || value === 255));
  });
}

Deno.test("EXIF turns an image upright", async () => {
  // What is seen at the top left, top right, bottom left and bottom right: dark, red, green, blue are 0 to 3.
  const expected: Record<number, string> = {
    1: "0123",
    2: "1032",
    3: "3210",
    4: "2301",
    5: "0213",
    6: "2031",
    7: "3120",
    8: "1302",
  };
  for (const [orientation, order] of Object.entries(expected)) {
    const file = await corners().withMetadata({ orientation: Number(orientation) }).jpeg().toBuffer();
    for (const use of ["training", "evaluation"] as const) {
      const { width, height, pixels } = await decodeImage(file, use, sizes);
      const found = [[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]].map(([x, y]) => {
        const colour = pixels.subarray(4 * (y * width + x), 4 * (y * width + x) + 3);
        return colour.findIndex((value) => value > 120) + 1;
      });
      assertEquals(found.join(""), order, `orientation ${orientation}, ${use}`);
    }
  }
});

Deno.test("transparency is composited on white, 16 bits keep their upper 8", async () => {
  const first = async (file: Uint8Array) =>
    Array.from((await decodeImage(file, "evaluation", sizes)).pixels.subarray(0, 4));
  assertEquals(await first(await transparent(0).png().toBuffer()), [255, 255, 255, 255]);
  assertClose(await first(await transparent(0.5).png().toBuffer()), [227, 127, 127, 255], 0.01, "half");
  assertEquals(await first(await deep(3, 0x8180)), [0x81, 0x81, 0x81, 255]);
  assertEquals(await first(await deep(1, 0x8180)), [0x81, 0x81, 0x81, 255]);
});

Deno.test("a colour profile changes nothing, but for CMYK", async () => {
  const file = await corners().withIccProfile("p3").png().toBuffer();
  const stored = rgbOf(await decodeImage(file, "training", sizes));
  const plain = await sharp(file, { ignoreIcc: true }).raw().toBuffer();
  assertEquals(stored, Array.from(plain));
  assertNotEquals(stored, Array.from(await corners().raw().toBuffer()), "the file holds other numbers");
  const inks = await sharp({ create: { width: 8, height: 8, channels: 3, background: "#a06050" } })
    .toColourspace("cmyk").jpeg().toBuffer();
  const colour = rgbOf(await decodeImage(inks, "training", sizes)).slice(0, 3);
  assertClose(colour, [0xa0, 0x60, 0x50], 0.1, "CMYK keeps colours");
});

Deno.test("training keeps a large image at the stored side, a long strip at what crops can read", async () => {
  const plain = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: "#336699" } }).png().toBuffer();
  const stored = async (width: number, height: number) => {
    const image = await decodeImage(await plain(width, height), "training", sizes);
    return [image.width, image.height];
  };
  assertEquals(await stored(300, 150), [200, 100]);
  assertEquals(await stored(99, 200), [99, 200]);
  // 64 squares of 18 pixels are 20736 pixels: 4000 x 100 would be 400 000.
  assertEquals(await stored(4000, 100), [880, 22]);
});

Deno.test("of an image too large to be held at once evaluation is nearly the same", async () => {
  const halves = (side: number) =>
    Uint8Array.from({ length: side * side }, (_, at) => at % side < side / 2 ? 20 : 200);
  const raw = { width: 6200, height: 6200, channels: 1 } as const;
  const file = await sharp(halves(6200), { raw }).jpeg().toBuffer();
  const small = { width: 62, height: 62, channels: 1 } as const;
  const expected = await decodeImage(
    await sharp(halves(62), { raw: small }).png().toBuffer(),
    "evaluation",
    sizes,
  );
  assertClose((await decodeImage(file, "evaluation", sizes)).pixels, expected.pixels, 0.02, "two halves");
});
