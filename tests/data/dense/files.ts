/** Tiny sets of files for tests. */
import sharp from "sharp";
import { encodeLabelPng, standardPalette } from "../../../src/data/dense/write_label_png.ts";
import type { DenseOptions } from "../../../src/data/dense/target.ts";

/** A photo of one colour. */
export async function photo(
  width: number,
  height: number,
  format: "png" | "jpeg" = "png",
): Promise<Uint8Array> {
  const background = { r: 90, g: 120, b: 30 };
  return await sharp({ create: { width, height, channels: 3, background } }).toFormat(format).toBuffer();
}

export const gray = (values: number[], width: number) =>
  encodeLabelPng(Uint8Array.from(values), width, values.length / width);
export const gray16 = (values: number[], width: number) =>
  encodeLabelPng(Uint16Array.from(values), width, values.length / width);
export const palette = (values: number[], width: number) =>
  encodeLabelPng(Uint8Array.from(values), width, values.length / width, standardPalette());

/** Writes files, runs a test on their folder, removes them. */
export async function inFolder(
  files: Record<string, Uint8Array | string>,
  test: (root: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, content] of Object.entries(files)) {
      await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeFile(
        `${root}/${path}`,
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      );
    }
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Options that collect warnings. */
export function collecting(): { options: DenseOptions; warnings: string[] } {
  const warnings: string[] = [];
  const options = {
    imageSize: 32,
    seed: 1,
    workers: 1,
    onWarning: (message: string) => warnings.push(message),
  };
  return { options, warnings };
}
