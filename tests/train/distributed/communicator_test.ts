import { assertEquals } from "@std/assert";
import { purpose, Random } from "../../../src/random.ts";
import { averageAll, gatherAll } from "../../../src/train/distributed/communicator.ts";
import { linkedCommunicators } from "./linked.ts";

for (const size of [1, 2, 3, 5]) {
  for (const length of [0, 1, 4, 1001]) {
    Deno.test(`${size} ranks average ${length} values, added up in the order of ranks, and gather them`, async () => {
      const values = Array.from({ length: size }, (_, rank) => {
        const random = new Random(3, purpose.test, rank);
        return Float32Array.from({ length }, () => random.normal());
      });
      const expected = Float32Array.from(
        { length },
        (_, at) => values.slice(1).reduce((sum, one) => Math.fround(sum + one[at]), values[0][at]) / size,
      );
      const gathered = Float32Array.from(values.flatMap((one) => [...one]));
      const ranks = linkedCommunicators(size);
      const all = await Promise.all(ranks.map((rank, at) => gatherAll(rank, values[at])));
      for (const one of all) assertEquals(one, gathered);
      const means = values.map((one) => one.slice());
      await Promise.all(ranks.map((rank, at) => averageAll(rank, means[at])));
      for (const one of means) assertEquals(one, expected);
    });
  }
}
