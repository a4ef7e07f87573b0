#include not_a_number

// max(sqrt(square), epsilon), and NaN of NaN.
fn norm(square: f32, epsilon: f32) -> f32 {
  return select(max(sqrt(square), epsilon), square, isNotANumber(square));
}
