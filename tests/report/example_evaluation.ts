import { purpose, Random } from "../../src/random.ts";
import { confusionMatrix, perClassAccuracy, wilsonInterval } from "../../src/evaluate/classification.ts";
import type { EvaluatedNetwork, EvaluateReport } from "../../src/report/evaluate_report.ts";

/** A picture of one grey pixel. */
const picture = "data:image/gif;base64,R0lGODlhAQABAIAAAICAgAAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==";

/** Class names as folders have them: short, long, of other scripts, and of characters that HTML knows. */
export const oddNames = [
  `<b>&"'`,
  "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen01",
  "a long name of several words, as data sets of plants have it",
  "猫",
  "الكلب",
  "n02085620",
];

/** How large an evaluation is. */
export interface ExampleSize {
  readonly networks: number;
  readonly classes: number;
  readonly test: number;
  readonly mistakes: number;
  readonly odd?: boolean;
}

/** A plausible evaluation: networks that are worth more with their MACs; neighbouring classes are confused most. */
export function exampleEvaluation(
  { networks, classes, test, mistakes, odd = false }: ExampleSize,
): EvaluateReport {
  const random = new Random(12, purpose.test);
  const names = Array.from(
    { length: classes },
    (_, at) => odd && at < oddNames.length ? oddNames[at] : `class ${at}`,
  );
  const labels = Int32Array.from({ length: test }, (_, image) => image % classes);
  const results = Array.from({ length: networks }, (_, at): EvaluatedNetwork => {
    const worth = 0.5 + 0.35 * (at + 1) / networks;
    const predictions = labels.map((label) => {
      const known = worth + 0.3 * (label / classes - 0.5);
      if (random.chance(known)) return label;
      return random.chance(0.6) ? (label + 1) % classes : Math.floor(random.uniform() * classes);
    });
    const confusion = confusionMatrix(labels, predictions, classes);
    const right = confusion.reduce((sum, row, actual) => sum + row[actual], 0);
    return {
      network: networks > 1 ? `models/subnet-${at}.safetensors` : "runs/demo",
      arch: `16-8.16.32.${[24, 32, 48][at % 3]}-1.1.1.${1 + at % 2}`,
      macs: 900_000 + 65_000 * at,
      params: 20_000 + 1_217 * at,
      accuracy: right / test,
      interval: wilsonInterval(right, test),
      perClass: perClassAccuracy(confusion),
      confusion,
      chosen: { regularisation: [0.01, 0.1, 1][at % 3] },
    };
  });
  return {
    ...{ title: "runs/demo/evaluation", version: "0.1.0", device: "llvmpipe (LLVM 19.1.7, 256 bits)" },
    ...{ protocol: "linear", classes: names, images: { train: 2048, test }, results },
    settings: [["Batchnorm", "recalibrated on 512 training images"], ["Seed", "1"]],
    baselines: [{ name: "raw pixels", accuracy: 0.34 }, { name: "chance", accuracy: 1 / classes }],
    mistakes: Array.from({ length: mistakes }, (_, at) => ({
      actual: names[at % classes],
      predicted: names[(at + 1) % classes],
      confidence: 0.99 - 0.01 * at,
      image: picture,
      name: `test/<${at}>.jpg`,
    })),
  };
}

/** An evaluation with networks of equal MACs, and baselines that lie close together, one of a long name. */
export function exampleBaselines(): EvaluateReport {
  const report = exampleEvaluation({ networks: 3, classes: 40, test: 400_000, mistakes: 0, odd: true });
  return {
    ...report,
    baselines: [0.701, 0.7, 0.705, 0.99].map((accuracy, at) => ({ name: oddNames[at], accuracy })),
    results: report.results.map((one) => ({ ...one, macs: 1_000_000 })),
  };
}

/** The evaluation of a network that gets everything right. */
export function exampleFaultless(): EvaluateReport {
  const report = exampleEvaluation({ networks: 1, classes: 3, test: 30, mistakes: 0 });
  const confusion = [[10, 0, 0], [0, 10, 0], [0, 0, 10]];
  const [first] = report.results;
  const faultless = { accuracy: 1, interval: wilsonInterval(30, 30), perClass: perClassAccuracy(confusion) };
  return { ...report, baselines: [], results: [{ ...first, ...faultless, confusion, chosen: {} }] };
}
