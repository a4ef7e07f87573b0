/** How far features spread, and how well two sets of them agree: what tells a network that learns, without labels. */
import { DataError } from "../errors.ts";
import type { FeatureMatrix } from "./features.ts";

/** The spread of some images' features. */
export interface FeatureSpread {
  /** Images that were looked at, and features of each. */
  readonly images: number;
  readonly dimension: number;
  /** How many directions the features use, from 1 to the smaller of images and dimension; see {@linkcode effectiveRank}. */
  readonly effectiveRank: number;
  /** Cosine similarity of two different images, on average: 1 where all features point the same way. */
  readonly meanCosine: number;
  /** Part of the dimensions, 0 to 1, that hardly change from image to image. */
  readonly deadShare: number;
  /** Part of the directions, 0 to 1, along which the features hardly reach; see {@linkcode collapsedShare}. */
  readonly collapsedShare: number;
  /** How evenly the directions of the features cover the sphere: 0 at worst; see {@linkcode uniformity}. */
  readonly uniformity: number;
}

/** A dimension is dead when its standard deviation is less than this part of the features' root mean square. */
const deadDeviation = 1e-4;
/** A direction has collapsed when it carries less than this part of the features' squared length. */
const collapsedEnergy = 1e-6;

/**
 * Measures the spread of features, in double precision.
 *
 * @throws {DataError} for fewer than two images, and for features that are not finite
 */
export async function featureSpread(features: FeatureMatrix): Promise<FeatureSpread> {
  const { rows, dimension, values } = features;
  if (rows < 2) throw new DataError(`The spread of features needs two images; there is ${rows}.`);
  if (!values.every(Number.isFinite)) {
    throw new DataError("The features are not finite, so nothing can be compared.");
  }
  const singular = await singularValues(features);
  return {
    images: rows,
    dimension,
    effectiveRank: effectiveRank(singular),
    meanCosine: meanCosine(features),
    deadShare: deadShare(features),
    collapsedShare: collapsedShare(singular),
    uniformity: uniformity(features),
  };
}

/**
 * The exponential of the entropy of singular values that are scaled to a sum of one: n for n equal ones, 1 for a single
 * one (RankMe, Garrido et al. 2023, without the 1e-7 that it adds to each scaled value so that float32 can take the
 * logarithm of 0). 0 where all are 0.
 */
export function effectiveRank(singular: ArrayLike<number>): number {
  const values = Array.from(singular);
  const sum = values.reduce((total, value) => total + value, 0);
  if (sum === 0) return 0;
  return Math.exp(
    values.reduce((entropy, value) => value > 0 ? entropy - value / sum * Math.log(value / sum) : entropy, 0),
  );
}

/**
 * Singular values of a matrix, not centred, in no order: the roots of the eigenvalues of its smaller Gram matrix, so
 * those below 1e-8 of the largest are noise.
 */
export async function singularValues({ rows, dimension, values }: FeatureMatrix): Promise<Float64Array> {
  // Loaded here because nothing else needs it.
  const { EigenvalueDecomposition, Matrix } = await import("ml-matrix");
  const size = Math.min(rows, dimension);
  // Rows of the thin side are read one after the other.
  const thin = Array.from(
    { length: size },
    (_, row) =>
      rows <= dimension
        ? Float64Array.from(values.subarray(row * dimension, (row + 1) * dimension))
        : Float64Array.from({ length: rows }, (_, image) => values[image * dimension + row]),
  );
  const gram = Matrix.zeros(size, size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      const product = dot(thin[row], thin[column]);
      gram.set(row, column, product);
      gram.set(column, row, product);
    }
  }
  const { realEigenvalues } = new EigenvalueDecomposition(gram, { assumeSymmetric: true });
  return Float64Array.from(realEigenvalues, (value) => Math.sqrt(Math.max(0, value)));
}

/** Mean cosine over all pairs of different rows; a row of zeros has the cosine 0 with every other. */
export function meanCosine({ rows, dimension, values }: FeatureMatrix): number {
  const sum = new Float64Array(dimension);
  let own = 0;
  for (let row = 0; row < rows; row++) {
    const features = values.subarray(row * dimension, (row + 1) * dimension);
    const length = Math.sqrt(dot(features, features));
    if (length === 0) continue;
    own++;
    features.forEach((value, at) => sum[at] += value / length);
  }
  return (dot(sum, sum) - own) / (rows * (rows - 1));
}

/** Part of the dimensions whose standard deviation over the rows is next to nothing. */
export function deadShare({ rows, dimension, values }: FeatureMatrix): number {
  const floor = deadDeviation * Math.sqrt(dot(values, values) / values.length);
  let dead = 0;
  for (let column = 0; column < dimension; column++) {
    let mean = 0;
    for (let row = 0; row < rows; row++) mean += values[row * dimension + column] / rows;
    let variance = 0;
    for (let row = 0; row < rows; row++) variance += (values[row * dimension + column] - mean) ** 2 / rows;
    if (Math.sqrt(variance) <= floor) dead++;
  }
  return dead / dimension;
}

/**
 * Part of the singular values whose square is less than a millionth of the sum of squares: directions of the feature
 * space that are possible, as many as the smaller of rows and dimension, and hardly used. Unlike {@linkcode deadShare} it
 * sees dimensions that change, but always together. 1 where all values are 0.
 */
export function collapsedShare(singular: ArrayLike<number>): number {
  const squares = Array.from(singular, (value) => value * value);
  const floor = collapsedEnergy * squares.reduce((sum, square) => sum + square, 0);
  return squares.filter((square) => square <= floor).length / squares.length;
}

/**
 * log of the mean of exp(-2 |x - y|^2) over all pairs of different rows, each scaled to length one (Wang & Isola 2020):
 * 0 where all point the same way, at least -8, about -4 for directions drawn evenly in many dimensions. Rows of zeros
 * stay zero.
 */
export function uniformity(features: FeatureMatrix): number {
  const { rows } = features;
  const unit = unitRows(features);
  let sum = 0;
  for (let row = 1; row < rows; row++) {
    for (let other = 0; other < row; other++) sum += Math.exp(-2 * squaredDistance(unit[row], unit[other]));
  }
  return Math.log(2 * sum / (rows * (rows - 1)));
}

/**
 * Mean of |x - y|^2 over pairs of rows, one of each matrix, each scaled to length one (Wang & Isola 2020): 0 where the two
 * always agree, 2 where they are at right angles, 4 at most. NaN for features that are not finite.
 *
 * @throws {DataError} for matrices of different sizes, or without rows
 */
export function alignment(first: FeatureMatrix, second: FeatureMatrix): number {
  return meanOverPairs(first, second, squaredDistance);
}

/**
 * Mean cosine of pairs of rows, one of each matrix; a row of zeros has the cosine 0 with any other, and 1 with another
 * such row, as in a search (`search/similarity/cosine.ts`). NaN for features that are not finite.
 *
 * @throws {DataError} as {@linkcode alignment} does
 */
export function pairedCosine(first: FeatureMatrix, second: FeatureMatrix): number {
  return meanOverPairs(first, second, (x, y) => isZero(x) && isZero(y) ? 1 : dot(x, y));
}

function meanOverPairs(
  first: FeatureMatrix,
  second: FeatureMatrix,
  measure: (x: Float64Array, y: Float64Array) => number,
): number {
  if (first.rows !== second.rows || first.dimension !== second.dimension || first.rows === 0) {
    const sizes = [first, second].map(({ rows, dimension }) => `${rows} x ${dimension}`);
    throw new DataError(`Features of ${sizes.join(" and ")} make no pairs of rows.`);
  }
  const others = unitRows(second);
  return unitRows(first).reduce((sum, row, at) => sum + measure(row, others[at]), 0) / first.rows;
}

/** Rows scaled to length one; those of zeros as they are. */
function unitRows({ rows, dimension, values }: FeatureMatrix): Float64Array[] {
  return Array.from({ length: rows }, (_, row) => {
    const features = Float64Array.from(values.subarray(row * dimension, (row + 1) * dimension));
    const length = Math.sqrt(dot(features, features));
    return length === 0 ? features : features.map((value) => value / length);
  });
}

function isZero(row: Float64Array): boolean {
  return row.every((value) => value === 0);
}

function squaredDistance(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < x.length; at++) sum += (x[at] - y[at]) ** 2;
  return sum;
}

function dot(a: Float32Array | Float64Array, b: Float32Array | Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at] * b[at];
  return sum;
}
