/** Small pictures: the middle of an image, of every kind of source. */
import { assert, assertEquals } from "@std/assert";
import sharp from "sharp";
import type { ImageSource, TensorSource } from "../../src/data/image_set.ts";
import { thumbnails } from "../../src/data/thumbnails.ts";

async function decoded(address: string | undefined) {
  assert(address?.startsWith("data:image/jpeg;base64,"));
  const bytes = Uint8Array.from(atob(address!.split(",")[1]), (character) => character.charCodeAt(0));
  return await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
}

Deno.test("a picture is the middle square of its image, and a broken file has none", async () => {
  // Red, green, blue thirds beside one another: the middle is green.
  const [width, height] = [48, 16];
  const pixels = new Uint8Array(4 * width * height).fill(255);
  for (let at = 0; at < width * height; at++) {
    const third = Math.floor(at % width / 16);
    for (let channel = 0; channel < 3; channel++) pixels[4 * at + channel] = channel === third ? 255 : 0;
  }
  const source: Pick<ImageSource, "kind" | "load"> = {
    kind: "images",
    load: (indices) =>
      Promise.resolve(indices.map((index) => index === 0 ? { width, height, pixels } : undefined)),
  };
  const [picture, broken] = await thumbnails(source as ImageSource, [0, 1], 8);
  assertEquals(broken, undefined);
  const { data, info } = await decoded(picture);
  assertEquals([info.width, info.height], [8, 8]);
  const [red, green, blue] = data.subarray(3 * 36);
  assert(green > 200 && red < 60 && blue < 60, `${red} ${green} ${blue}`);
});

Deno.test("ready-made inputs are stretched over the range of a picture", async () => {
  const source = {
    ...{ kind: "tensor", channels: 3, height: 2, width: 2, length: 2 },
    images: Float32Array.from({ length: 24 }, (_, at) => at < 12 ? 7 : at % 4 < 2 ? -3 : 5),
  } as unknown as TensorSource;
  const [flat, halves] = await thumbnails(source, [0, 1], 16);
  const first = (await decoded(flat)).data;
  assert(first.every((value) => value < 4), "an image of one value is black");
  const { data } = await decoded(halves);
  assert(data[0] < 30 && data.at(-1)! > 225, `${data[0]} ${data.at(-1)}`);
});
