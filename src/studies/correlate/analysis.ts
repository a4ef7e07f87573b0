/** How well scores that need no labels, and their rivals, predict what subnets are worth downstream. */
import {
  kendall,
  middleInterval,
  pearson,
  precisionOfTopTenth,
  regret,
  resample,
  spearman,
} from "../../evaluate/correlation.ts";
import { purpose, Random } from "../../random.ts";
import { countDraws, type Worth } from "./outcome.ts";
import { type StratifiedCorrelation, withinStrata } from "./strata.ts";

/** A subnet with everything that is known of it. */
export interface EvaluatedSubnet {
  readonly arch: string;
  /** For one image. */
  readonly macs: number;
  readonly params: number;
  /** Channels of its last stage. */
  readonly lastWidth: number;
  /** By the name of the score. */
  readonly scores: Readonly<Record<string, number>>;
  /** Of the untrained network, by the name of the score. */
  readonly zeroCost: Readonly<Record<string, number>>;
  /** What it is worth, for each seed of pretraining. */
  readonly worth: readonly Worth[];
}

/** Low and high end of an interval that holds 95 % of the bootstrap draws; NaN where none had a correlation. */
export type Interval = readonly [low: number, high: number];

/** Spearman's correlation within a half-open range of MACs; NaN where nothing varies. */
export interface GroupCorrelation {
  readonly from: number;
  readonly to: number;
  readonly subnets: number;
  readonly spearman: number;
}

/** How well one score, or one rival, predicts the downstream result of the first seed. */
export interface Correlation {
  readonly metric: string;
  /** `score` for similarities; `rival` for what needs no trained network. */
  readonly kind: "score" | "rival";
  readonly spearman: number;
  /** Over draws of subnets and images together, of images alone, of subnets alone. */
  readonly interval: Interval;
  readonly intervalImages: Interval;
  readonly intervalSubnets: Interval;
  readonly kendall: number;
  readonly pearson: number;
  readonly withinGroups: readonly GroupCorrelation[];
  /** Within ranges of MACs and one width of the last stage. */
  readonly withinWidths: StratifiedCorrelation;
  /** Share of its best tenth that belongs to the downstream best tenth. */
  readonly precisionTop10: number;
  /** Downstream result of the best subnet less that of its first choice. */
  readonly regret: number;
  /** Of a score: interval of its Spearman less that of each rival, over draws of subnets and images together. */
  readonly over?: Readonly<Record<string, Interval>>;
}

/** What the correlations are compared with. */
export interface Analysis {
  /** Scores first, then rivals. */
  readonly correlations: readonly Correlation[];
  /** Downstream results under a second seed against those under the first, where there is one: no score can expect more. */
  readonly ceiling: { readonly spearman: number; readonly interval: Interval } | undefined;
}

/** Bootstrap draws. */
const draws = 1000;

/** What needs no trained network, and must be beaten: costs, and zero-cost scores. */
function rivalsOf(subnets: readonly EvaluatedSubnet[]): Map<string, number[]> {
  const costs = ["macs", "params", "lastWidth"] as const;
  return new Map([
    ...costs.map((cost) => [cost, subnets.map((subnet) => subnet[cost])] as const),
    ...Object.keys(subnets[0].zeroCost).map((score) =>
      [score, subnets.map(({ zeroCost }) => zeroCost[score])] as const
    ),
  ]);
}

/** Downstream results, 0 to 1. */
export function results(subnets: readonly Pick<EvaluatedSubnet, "worth">[], seed: number): number[] {
  return subnets.map(({ worth }) => worth[seed].of());
}

/**
 * Correlates every score and rival with the downstream results of the first seed.
 *
 * @param subnets at least two, all with the same scores, seeds and images
 * @param groupSize MACs of a group
 * @param seed of the bootstrap
 */
export function analyse(
  subnets: readonly EvaluatedSubnet[],
  { groupSize, seed }: { groupSize: number; seed: number },
): Analysis {
  const predictors = new Map<string, number[]>();
  const scores = Object.keys(subnets[0].scores);
  for (const score of scores) predictors.set(score, subnets.map((subnet) => subnet.scores[score]));
  const rivals = rivalsOf(subnets);
  for (const [rival, values] of rivals) predictors.set(rival, values);
  const actual = results(subnets, 0);
  const samples = bootstrap(subnets, [...predictors.values()], seed);
  const columns = [...predictors.keys()];
  const strata = withinStrata(subnets, [...predictors.values()], { groupSize, seed, draws });
  const correlations = columns.map((metric, column): Correlation => {
    const predicted = predictors.get(metric)!;
    const kind = column < scores.length ? "score" : "rival";
    const difference = (rival: string) =>
      middleInterval(samples.both.map((draw) => draw[column] - draw[columns.indexOf(rival)]));
    return {
      metric,
      kind,
      spearman: spearman(predicted, actual),
      interval: middleInterval(samples.both.map((draw) => draw[column])),
      intervalImages: middleInterval(samples.images.map((draw) => draw[column])),
      intervalSubnets: middleInterval(samples.subnets.map((draw) => draw[column])),
      kendall: kendall(predicted, actual),
      pearson: pearson(predicted, actual),
      withinGroups: withinGroups(subnets, predicted, actual, groupSize),
      withinWidths: strata[column],
      precisionTop10: precisionOfTopTenth(predicted, actual),
      regret: regret(predicted, actual),
      ...(kind === "score" && {
        over: Object.fromEntries(rivals.keys().map((rival) => [rival, difference(rival)])),
      }),
    };
  });
  return { correlations, ceiling: ceilingOf(subnets, seed) };
}

function withinGroups(
  subnets: readonly EvaluatedSubnet[],
  predicted: readonly number[],
  actual: readonly number[],
  groupSize: number,
): GroupCorrelation[] {
  const members = Map.groupBy(subnets.keys(), (at) => Math.floor(subnets[at].macs / groupSize));
  return [...members].sort(([a], [b]) => a - b).map(([group, places]) => ({
    from: group * groupSize,
    to: (group + 1) * groupSize,
    subnets: places.length,
    spearman: spearman(places.map((at) => predicted[at]), places.map((at) => actual[at])),
  }));
}

function ceilingOf(subnets: readonly EvaluatedSubnet[], seed: number): Analysis["ceiling"] {
  if (subnets[0].worth.length < 2) return undefined;
  const [first, second] = [results(subnets, 0), results(subnets, 1)];
  const samples = bootstrap(subnets, [second], seed);
  return {
    spearman: spearman(first, second),
    interval: middleInterval(samples.both.map(([value]) => value)),
  };
}

/** For each draw, Spearman's correlation of each predictor with the downstream results of the first seed. */
interface Samples {
  readonly images: number[][];
  readonly subnets: number[][];
  readonly both: number[][];
}

function bootstrap(
  subnets: readonly EvaluatedSubnet[],
  predictors: readonly (readonly number[])[],
  seed: number,
): Samples {
  const samples: Samples = { images: [], subnets: [], both: [] };
  const actual = results(subnets, 0);
  const { images } = subnets[0].worth[0];
  const correlate = (values: readonly number[], places?: Uint32Array) =>
    predictors.map((predictor) =>
      places
        ? spearman(Array.from(places, (at) => predictor[at]), Array.from(places, (at) => values[at]))
        : spearman(predictor, values)
    );
  for (let draw = 0; draw < draws; draw++) {
    const places = resample(subnets.length, new Random(seed, purpose.bootstrap, draw, 0));
    const chosen = resample(images, new Random(seed, purpose.bootstrap, draw, 1));
    const times = countDraws(images, chosen);
    const redrawn = subnets.map(({ worth: [first] }) => first.of(times));
    samples.images.push(correlate(redrawn));
    samples.subnets.push(correlate(actual, places));
    samples.both.push(correlate(redrawn, places));
  }
  return samples;
}
