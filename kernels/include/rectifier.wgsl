// max(x, 0), and NaN of NaN; of four numbers, or of one. By the bits, in which what becomes 0 is one range, from -0 to
// -infinity: `max` may lose a NaN, and so may a comparison that a compiler makes a `max` of.
fn rectifyFour(x: vec4<f32>) -> vec4<f32> {
  let above = bitcast<vec4<u32>>(x) - vec4<u32>(0x80000000u);
  return select(x, vec4<f32>(), above <= vec4<u32>(0x7f800000u));
}

fn rectifyOne(x: f32) -> f32 {
  return select(x, 0.0, bitcast<u32>(x) - 0x80000000u <= 0x7f800000u);
}

// The gradient that passes: none where the result is 0, as in PyTorch, which lets it pass where the result is NaN.
fn passFour(gradient: vec4<f32>, result: vec4<f32>) -> vec4<f32> {
  return select(gradient, vec4<f32>(), bitcast<vec4<u32>>(result) == vec4<u32>());
}

fn passOne(gradient: f32, result: f32) -> f32 {
  return select(gradient, 0.0, bitcast<u32>(result) == 0u);
}
