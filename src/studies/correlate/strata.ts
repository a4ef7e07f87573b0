/**
 * Correlations among subnets of about one size and of one last width, where neither MACs nor the width of the features tell
 * much: here a ranking earns its keep.
 */
import { middleInterval, resample, spearman } from "../../evaluate/correlation.ts";
import { purpose, Random } from "../../random.ts";
import { countDraws, type Worth } from "./outcome.ts";

/** What must be known of a subnet. */
export interface StratifiedSubnet {
  /** For one image. */
  readonly macs: number;
  /** Channels of its last stage. */
  readonly lastWidth: number;
  /** What it is worth, for each seed of pretraining. */
  readonly worth: readonly Worth[];
}

/** Subnets in a half-open range of MACs whose last stages are equally wide. */
export interface Stratum {
  readonly from: number;
  readonly to: number;
  readonly lastWidth: number;
  /** Their number. */
  readonly subnets: number;
}

/** How well one predictor orders subnets within strata. */
export interface StratifiedCorrelation {
  /** Mean over strata, each weighted with its subnets; NaN where nothing varies within any. */
  readonly spearman: number;
  /** Over draws of the subnets of each stratum and of the images together. */
  readonly interval: readonly [low: number, high: number];
  /** Spearman's correlation within each is NaN where nothing varies. */
  readonly strata: readonly (Stratum & { readonly spearman: number })[];
}

/** Fewer subnets than this have no order worth correlating. */
const fewestSubnets = 4;

/**
 * Correlates predictors with the downstream results of the first seed, within strata of at least four subnets.
 *
 * @param predictors a value for each subnet
 * @param draws of the bootstrap
 */
export function withinStrata(
  subnets: readonly StratifiedSubnet[],
  predictors: readonly (readonly number[])[],
  { groupSize, seed, draws }: { groupSize: number; seed: number; draws: number },
): StratifiedCorrelation[] {
  const strata = stratify(subnets, groupSize);
  const { images } = subnets[0].worth[0];
  const actual = Float64Array.from(subnets, ({ worth: [first] }) => first.of());
  const draw = (number: number) => {
    const chosen = resample(images, new Random(seed, purpose.bootstrap, number, 1));
    const times = countDraws(images, chosen);
    const redrawn = Float64Array.from(subnets, ({ worth: [first] }) => first.of(times));
    const random = new Random(seed, purpose.bootstrap, number, 2);
    const places = strata.map(({ places }) =>
      Array.from(resample(places.length, random), (at) => places[at])
    );
    return predictors.map((predictor) => weighted(places.map((own) => within(own, predictor, redrawn))));
  };
  const samples = strata.length === 0 ? [] : Array.from({ length: draws }, (_, number) => draw(number));
  return predictors.map((predictor, column) => {
    const found = strata.map(({ places }) => within(places, predictor, actual));
    return {
      spearman: weighted(found),
      interval: middleInterval(samples.map((sample) => sample[column])),
      strata: strata.map(({ places: _, ...stratum }, at) => ({ ...stratum, spearman: found[at].spearman })),
    };
  });
}

function stratify(subnets: readonly StratifiedSubnet[], groupSize: number) {
  const key = (at: number) => `${Math.floor(subnets[at].macs / groupSize)} ${subnets[at].lastWidth}`;
  return [...Map.groupBy(subnets.keys(), key).values()].filter(({ length }) => length >= fewestSubnets)
    .map((places): Stratum & { places: readonly number[] } => {
      const { macs, lastWidth } = subnets[places[0]];
      const group = Math.floor(macs / groupSize);
      return {
        ...{ from: group * groupSize, to: (group + 1) * groupSize, lastWidth, subnets: places.length },
        places,
      };
    }).sort((a, b) => a.from - b.from || a.lastWidth - b.lastWidth);
}

function within(places: readonly number[], predicted: ArrayLike<number>, actual: ArrayLike<number>) {
  return {
    subnets: places.length,
    spearman: spearman(places.map((at) => predicted[at]), places.map((at) => actual[at])),
  };
}

/** Mean of the correlations that are numbers, each weighted with its subnets; NaN where none is. */
export function weighted(found: readonly { readonly subnets: number; readonly spearman: number }[]): number {
  const known = found.filter(({ spearman }) => !Number.isNaN(spearman));
  const subnets = known.reduce((sum, one) => sum + one.subnets, 0);
  return known.reduce((sum, one) => sum + one.subnets * one.spearman, 0) / subnets;
}
