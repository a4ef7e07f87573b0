/** Damage at random, for campaigns. */
import { purpose, Random } from "../../src/random.ts";

/** A source of damage that can be repeated: a campaign prints the seed with what did not survive. */
export function drawSeed(): { seed: number; random: Random } {
  const seed = Math.floor(1e9 * Math.random());
  return { seed, random: new Random(seed, purpose.test) };
}

/** One to four mistakes: bits, runs of bytes, an early end, parts twice. */
export function damaged(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  let result = Uint8Array.from(bytes);
  for (let mistakes = 1 + random.integer(4); mistakes > 0 && result.length > 0; mistakes--) {
    // Heads of files decide most.
    const place = random.integer(random.uniform() < 0.5 ? Math.min(result.length, 64) : result.length);
    const length = Math.min(result.length - place, 1 + random.integer(64));
    switch (random.integer(5)) {
      case 0:
        result[place] ^= 1 << random.integer(8);
        break;
      case 1:
        for (let at = place; at < place + length; at++) result[at] = random.integer(256);
        break;
      case 2:
        result = result.slice(0, place);
        break;
      case 3:
        result.fill(random.pick([0, 255]), place, place + length);
        break;
      case 4:
        result = Uint8Array.of(...result.subarray(0, place + length), ...result.subarray(place));
    }
  }
  return result;
}
