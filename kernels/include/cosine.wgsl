#include not_a_number

// Cosine from a product and two squared lengths. Two zero vectors agree, 1; a zero and another do not, 0.
fn cosine(product: f32, squareA: f32, squareB: f32) -> f32 {
  // A vector with a NaN has one in its product with any other.
  if (isNotANumber(product)) { return product; }
  if (squareA == 0.0 || squareB == 0.0) { return select(0.0, 1.0, squareA == squareB); }
  return product / (sqrt(squareA) * sqrt(squareB));
}
