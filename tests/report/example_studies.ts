import { purpose, Random } from "../../src/random.ts";
import type { CompareReport } from "../../src/report/compare_report.ts";
import type { CorrelateReport } from "../../src/report/correlate_report.ts";
import type { ComparedRow, JudgedRow } from "../../src/studies/compare/compare.ts";
import { summarise, summariseCurve } from "../../src/studies/compare/summary.ts";
import { analyse, type EvaluatedSubnet } from "../../src/studies/correlate/analysis.ts";
import { worthOfRight } from "../studies/correlate/rights.ts";

/** A plausible correlation: subnets that are worth more with their MACs, and scores that follow with noise. */
export function exampleCorrelation(seeds: number): CorrelateReport {
  const random = new Random(11, purpose.test);
  const subnets = Array.from({ length: 48 }, (_, at): EvaluatedSubnet => {
    const worth = 0.3 + 0.4 * at / 48 + 0.05 * random.uniform();
    const widths = [24, 32, 48][at % 3];
    return {
      arch: `16-8.16.32.${widths}-1.1.1.${1 + at % 2}`,
      macs: 900_000 + 65_000 * at,
      params: 20_000 + 1_217 * at,
      lastWidth: widths,
      scores: { cosine: worth + 0.05 * random.uniform(), affinity: 1 - worth, cka: random.uniform() },
      zeroCost: { naswot: 300 + 40 * at, synflow: 12 + at % 5 },
      worth: Array.from(
        { length: seeds },
        () => worthOfRight(Uint8Array.from({ length: 512 }, () => Number(random.chance(worth)))),
      ),
    };
  });
  return {
    ...{ title: "runs/demo/correlate", version: "0.1.0", device: "llvmpipe (LLVM 19.1.7, 256 bits)" },
    ...{ run: "runs/demo", subnets, testImages: 512, protocol: "knn" },
    ...analyse(subnets, { groupSize: 1_000_000, seed: 1 }) as Pick<
      CorrelateReport,
      "correlations" | "ceiling"
    >,
    settings: [["Task", "classification"], ["Images scored", "512"], ["Seeds", String(seeds)]],
  };
}

/** A plausible comparison of one elastic network with networks pretrained alone, at three sizes, along their epochs. */
export function exampleComparison(): CompareReport {
  const sizes = [["min", 912_384], ["middle", 2_304_512], ["max", 4_112_384]] as const;
  const random = new Random(12, purpose.test);
  const runs = (method: string, alone: boolean, knn: readonly (readonly number[])[], seconds: number) =>
    knn.flatMap((bySeed, seed) =>
      bySeed.map((worth, at): JudgedRow => {
        const drawn = (share: number) =>
          Uint8Array.from({ length: 200 }, (_, image) => Number(image < 200 * share));
        const right = { knn: drawn(worth), linear: drawn(worth + 0.05) };
        const [size, macs] = sizes[at];
        return {
          ...{
            method,
            size,
            arch: `${size}-1`,
            macs,
            seed,
            run: alone ? `${method}-${size}-${seed}` : `${method}-${seed}`,
          },
          ...{ epoch: 20, knn: worth, linear: worth + 0.05, seconds: alone ? seconds / 3 : seconds, right },
        };
      })
    );
  const rows = [
    ...runs("alone", true, [[0.31, 0.41, 0.47], [0.33, 0.42, 0.45], [0.32, 0.4, 0.46]], 640),
    ...runs("elastic", false, [[0.35, 0.43, 0.46], [0.36, 0.44, 0.44], [0.34, 0.42, 0.45]], 228),
  ];
  const along = [5, 10, 15, 20].flatMap((epoch) =>
    rows.map(({ right: _, ...row }): ComparedRow => {
      const part = (epoch / 20) ** 0.5, noise = epoch < 20 ? 0.02 * random.uniform() : 0;
      const worth = (share: number) => share * part + noise;
      return {
        ...row,
        epoch,
        knn: worth(row.knn),
        linear: worth(row.linear),
        seconds: row.seconds * epoch / 20,
      };
    })
  );
  return {
    ...{ title: "runs/compare-demo", version: "0.1.0", device: "llvmpipe (LLVM 19.1.7, 256 bits)" },
    config: "configs/compare-demo.json",
    methods: summarise(rows),
    curve: summariseCurve(along),
  };
}
