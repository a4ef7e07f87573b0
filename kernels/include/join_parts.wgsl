// The others of a row, from softmax_parts: their largest logit, and the sum of exponentials above it.
fn joinParts(row: u32, segments: u32) -> vec2<f32> {
  var highest = -3.402823e38;
  for (var s = 0u; s < segments; s++) { highest = max(highest, partial[row * segments + s].x); }
  var sum = 0.0;
  for (var s = 0u; s < segments; s++) {
    let part = partial[row * segments + s];
    sum = fma(part.y, exponential(part.x - highest), sum);
  }
  return vec2<f32>(highest, sum);
}
