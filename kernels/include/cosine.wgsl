// Cosine from a product and two squared lengths. Two zero vectors agree, 1; a zero and another do not, 0. NaN where one of
// the three is no finite number, be it only too large; tested by bits, see include/not_a_number.
fn cosine(product: f32, squareA: f32, squareB: f32) -> f32 {
  let bits = bitcast<vec3<u32>>(vec3<f32>(product, squareA, squareB)) & vec3<u32>(0x7fffffffu);
  let largest = max(max(bits.x, bits.y), bits.z);
  if (largest >= 0x7f800000u) { return bitcast<f32>(largest | 0x7fc00000u); }
  if (squareA == 0.0 || squareB == 0.0) { return select(0.0, 1.0, squareA == squareB); }
  return product / (sqrt(squareA) * sqrt(squareB));
}
