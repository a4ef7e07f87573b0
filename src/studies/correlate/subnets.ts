/** Which subnets a correlation looks at: spread over the range of MACs. */
import type { Architecture } from "../../elastic/architecture.ts";
import { macs } from "../../elastic/costs.ts";
import type { ElasticNetwork } from "../../elastic/network.ts";
import { UsageError } from "../../errors.ts";
import { purpose, Random } from "../../random.ts";

/** Spaces up to this size are sorted whole; of larger ones so many stand for the rest. */
const wholeLimit = 2 ** 17;

/**
 * The smallest and the largest architecture, and between them one from each of equally long ranges of MACs; where a range
 * is empty, more from those with most left. All of the space where it has no more than `count`. Ascending in MACs, the
 * same for the same seed.
 *
 * @param count at least 2
 * @param imageSize side of the images that MACs are counted for
 */
export function spreadSubnets(
  network: ElasticNetwork,
  count: number,
  imageSize: number,
  seed: number,
): Architecture[] {
  const { space } = network;
  if (count < 2) throw new UsageError(`A correlation needs two subnets at least, not ${count}.`);
  const random = new Random(seed, purpose.candidates, 3);
  const drawn = space.size <= wholeLimit
    ? [...space.enumerate()]
    : Array.from({ length: wholeLimit }, () => space.sampleUniform(random));
  const cost = (architecture: Architecture) => macs(network, architecture, imageSize);
  const population = new Map([space.min, ...drawn, space.max].map((one) => [one.id, one]));
  const ascending = (architectures: Iterable<Architecture>) =>
    [...architectures].map((one) => ({ one, macs: cost(one) }))
      .sort((a, b) => a.macs - b.macs || (a.one.id < b.one.id ? -1 : 1))
      .map(({ one }) => one);
  if (population.size <= count) return ascending(population.values());
  population.delete(space.min.id);
  population.delete(space.max.id);
  const wanted = count - 2;
  const [low, high] = [cost(space.min), cost(space.max)];
  const ranges: Architecture[][] = Array.from({ length: wanted }, () => []);
  for (const architecture of population.values()) {
    const place = Math.floor(wanted * (cost(architecture) - low) / (high - low));
    ranges[Math.max(0, Math.min(wanted - 1, place))]?.push(architecture);
  }
  const chosen: Architecture[] = [];
  while (chosen.length < wanted) {
    const fullest = ranges.toSorted((a, b) => b.length - a.length);
    const round = chosen.length === 0 ? ranges : fullest.slice(0, wanted - chosen.length);
    for (const range of round) {
      if (range.length > 0) chosen.push(...range.splice(random.integer(range.length), 1));
    }
  }
  return ascending([space.min, ...chosen, space.max]);
}
