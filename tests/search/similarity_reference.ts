/** The similarity metrics in double precision and plain loops, straight from their definitions. */

/** Feature maps on the host, [images, channels, height, width]. */
export interface Maps {
  readonly values: Float32Array<ArrayBuffer>;
  readonly shape: readonly [number, number, number, number];
}

/** A matrix as rows. */
export type Matrix = readonly (readonly number[])[];

/** <a, b> */
function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * b[index], 0);
}

/** Cosine; two zero vectors agree, a zero vector and another do not. */
function cosine(a: readonly number[], b: readonly number[]): number {
  const squareA = dot(a, a), squareB = dot(b, b);
  if (squareA === 0 || squareB === 0) return squareA === squareB ? 1 : 0;
  return dot(a, b) / Math.sqrt(squareA * squareB);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean cosine of corresponding rows. */
export function cosineReference(a: Matrix, b: Matrix): number {
  return mean(a.map((row, index) => cosine(row, b[index])));
}

/** Places y * width + x of a grid of rows x columns, each in the middle of its share of the map. */
export function gridPlaces(height: number, width: number, rows: number, columns: number): number[] {
  const middle = (index: number, count: number, size: number) =>
    Math.floor((2 * index + 1) * size / (2 * count));
  return Array.from({ length: rows * columns }, (_, place) => {
    const y = middle(Math.floor(place / columns), rows, height);
    return y * width + middle(place % columns, columns, width);
  });
}

/** Channel vectors of image `image` at the given places. */
export function channelVectors({ values, shape }: Maps, image: number, places: readonly number[]): Matrix {
  const [, channels, height, width] = shape;
  const plane = height * width;
  return places.map((place) =>
    Array.from({ length: channels }, (_, channel) => values[(image * channels + channel) * plane + place])
  );
}

/** All places of a map. */
export function allPlaces({ shape }: Maps): number[] {
  return Array.from({ length: shape[2] * shape[3] }, (_, place) => place);
}

/** Mean over images and places of the cosine of affinity rows. */
export function affinityReference(teacher: Maps, candidate: Maps, places = allPlaces(teacher)): number {
  const affinity = (vectors: Matrix) => {
    const units = vectors.map((vector) => {
      const length = Math.sqrt(dot(vector, vector));
      return vector.map((value) => length > 0 ? value / length : 0);
    });
    return units.map((a) => units.map((b) => dot(a, b)));
  };
  return mean(
    Array.from({ length: teacher.shape[0] }, (_, image) =>
      cosineReference(
        affinity(channelVectors(teacher, image, places)),
        affinity(channelVectors(candidate, image, places)),
      )),
  );
}

function gram(rows: Matrix): number[][] {
  return rows.map((a) => rows.map((b) => dot(a, b)));
}

function total(matrix: Matrix): number {
  return matrix.flat().reduce((sum, value) => sum + value, 0);
}

/** HSIC of two sets of n samples; debiased as printed in the literature, with sums over zero-diagonal matrices. */
export function hsicReference(x: Matrix, y: Matrix, debiased: boolean): number {
  const n = x.length;
  if (!debiased) {
    const centre = (rows: Matrix) => {
      const means = rows[0].map((_, column) => mean(rows.map((row) => row[column])));
      return rows.map((row) => row.map((value, column) => value - means[column]));
    };
    const k = gram(centre(x)), l = gram(centre(y));
    return total(k.map((row, i) => row.map((value, j) => value * l[i][j]))) / (n - 1) ** 2;
  }
  const zeroDiagonal = (matrix: number[][]) =>
    matrix.map((row, i) => row.map((value, j) => i === j ? 0 : value));
  const k = zeroDiagonal(gram(x)), l = zeroDiagonal(gram(y));
  const trace = total(k.map((row, i) => row.map((value, j) => value * l[j][i])));
  const rowSums = (matrix: Matrix) => matrix.map((row) => row.reduce((sum, value) => sum + value, 0));
  return (trace + total(k) * total(l) / ((n - 1) * (n - 2)) -
    2 / (n - 2) * dot(rowSums(k), rowSums(l))) / (n * (n - 3));
}

/** CKA over minibatches of samples. */
export function ckaReference(batches: readonly [Matrix, Matrix][], debiased: boolean): number {
  const cross = mean(batches.map(([x, y]) => hsicReference(x, y, debiased)));
  const own = mean(batches.map(([x]) => hsicReference(x, x, debiased)));
  const other = mean(batches.map(([, y]) => hsicReference(y, y, debiased)));
  return own <= 0 || other <= 0 ? 0 : cross / Math.sqrt(own * other);
}

/** Mean of each image and channel. */
export function pooledReference(maps: Maps): Matrix {
  const places = allPlaces(maps);
  return Array.from({ length: maps.shape[0] }, (_, image) => {
    const vectors = channelVectors(maps, image, places);
    return vectors[0].map((_, channel) => mean(vectors.map((vector) => vector[channel])));
  });
}
