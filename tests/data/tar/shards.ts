/** Small shards for tests. */
import sharp from "sharp";
import { type Entry, tarOf } from "../../store/tar/tar_writer.ts";

/** A PNG whose pixels tell its number. */
export function pngOf(number: number, side = 8): Promise<Uint8Array> {
  const background = { r: number % 256, g: 255 - number % 256, b: 7 };
  return sharp({ create: { width: side, height: side, channels: 3, background } }).png().toBuffer();
}

/** Writes an archive. */
export async function writeShard(path: string, entries: readonly Entry[]): Promise<void> {
  await Deno.writeFile(path, tarOf(entries));
}

/**
 * Writes `train-0.tar`, `train-1.tar`, …, whose samples are numbered throughout, with classes in turns.
 *
 * @param sizes number of samples of each
 * @param classes number of classes; 0 for none
 * @returns the specification
 */
export async function writeShards(
  folder: string,
  sizes: readonly number[],
  classes = 0,
  side = 8,
): Promise<string> {
  let number = 0;
  for (const [shard, size] of sizes.entries()) {
    const entries: Entry[] = [];
    for (const last = number + size; number < last; number++) {
      entries.push({ name: `${number}.png`, data: await pngOf(number, side) });
      if (classes > 0) entries.push({ name: `${number}.cls`, data: String(number % classes) });
    }
    await writeShard(`${folder}/train-${shard}.tar`, entries);
  }
  return `tar:${folder}/train-{0..${sizes.length - 1}}.tar`;
}
