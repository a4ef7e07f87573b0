#include not_a_number

// exp(x) and log(1 + x) to about a unit in the last place, with NaN, infinity and 0 where they belong: what a driver
// offers may be off by a thousandth of the result's digits, and lose a NaN.
fn exponential(x: f32) -> f32 {
  // x = k log 2 + rest, so exp(x) = 2^k exp(rest), with |rest| < 0.35; log 2 in two parts, the first of few digits.
  let inRange = clamp(x, -104.0, 89.0);
  let k = round(1.442695041 * inRange);
  let rest = fma(k, -1.428606765e-6, fma(k, -0.693145752, inRange));
  var sum = fma(rest, 1.0 / 5040.0, 1.0 / 720.0);
  sum = fma(rest, sum, 1.0 / 120.0);
  sum = fma(rest, sum, 1.0 / 24.0);
  sum = fma(rest, sum, 1.0 / 6.0);
  sum = fma(rest, sum, 0.5);
  sum = fma(rest, sum, 1.0);
  sum = fma(rest, sum, 1.0);
  // In two steps, because 2^k alone may be no number of the format.
  let half = i32(k) >> 1u;
  let result = sum * powerOfTwo(half) * powerOfTwo(i32(k) - half);
  return select(result, x, isNotANumber(x));
}

fn powerOfTwo(k: i32) -> f32 {
  return bitcast<f32>(u32(k + 127) << 23u);
}

// For x >= 0; below, for no more than NaN of what is no number.
fn logOnePlus(x: f32) -> f32 {
  // log(1 + x) = e log 2 + log(1 + y) with 1 + y between sqrt(1 / 2) and sqrt(2); where e = 0, y = x keeps all digits.
  let whole = 1.0 + x;
  let e = select(i32((bitcast<u32>(whole) - 0x3f3504f3u) >> 23u), 0, x < 0.41);
  let y = select(bitcast<f32>(bitcast<u32>(whole) - (u32(e) << 23u)) - 1.0, x, x < 0.41);
  // log(1 + y) = 2 artanh(y / (2 + y))
  let ratio = y / (2.0 + y);
  let square = ratio * ratio;
  var sum = fma(square, 1.0 / 13.0, 1.0 / 11.0);
  sum = fma(square, sum, 1.0 / 9.0);
  sum = fma(square, sum, 1.0 / 7.0);
  sum = fma(square, sum, 1.0 / 5.0);
  sum = fma(square, sum, 1.0 / 3.0);
  let result = fma(f32(e), 0.693147181, fma(2.0 * ratio * square, sum, 2.0 * ratio));
  // Infinity is its own logarithm; a negative number has none.
  return select(select(result, x, bitcast<u32>(x) >= 0x7f800000u), log(x), x < 0.0);
}
