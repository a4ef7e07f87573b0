/** Logarithms of determinants that may be zero. */

/**
 * log |det| of a symmetric positive semidefinite matrix with float64 numbers, on its independent rows: Cholesky's
 * factorisation with the largest pivot first stops where all pivots left are zero within rounding, and the logarithms of
 * those before are added. For a matrix of full rank this is log |det|; for one without it is that of the largest part with
 * full rank, in place of minus infinity: two equal rows count once.
 *
 * @param matrix by rows, [size, size]; kept as it is
 */
export function logDeterminant(matrix: ArrayLike<number>, size: number): number {
  const rest = Float64Array.from(matrix);
  const largest = Math.max(0, ...Array.from({ length: size }, (_, at) => rest[at * size + at]));
  const tolerance = size * Number.EPSILON * largest;
  const open = Array.from({ length: size }, (_, at) => at);
  let sum = 0;
  while (open.length > 0) {
    let next = 0;
    for (let at = 1; at < open.length; at++) {
      if (rest[open[at] * (size + 1)] > rest[open[next] * (size + 1)]) next = at;
    }
    const [row] = open.splice(next, 1);
    const pivot = rest[row * (size + 1)];
    if (pivot <= tolerance) break;
    sum += Math.log(pivot);
    for (const one of open) {
      const factor = rest[one * size + row] / pivot;
      for (const other of open) rest[one * size + other] -= factor * rest[row * size + other];
    }
  }
  return sum;
}
