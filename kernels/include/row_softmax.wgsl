#include exponential

// One row of a softmax whose own logit stands against others. Exponentials are relative to the row's largest logit, so
// they neither overflow nor all vanish, and the loss of a row that is nearly right is a sum of small numbers, not the
// difference of two large ones.
struct RowSoftmax {
  shift: f32,  // the largest logit
  own: f32,    // exp(logit - shift)
  others: f32, // sum of exp(other - shift)
  loss: f32,   // -log(own / (own + others))
}

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

fn rowSoftmax(logit: f32, others: vec2<f32>) -> RowSoftmax {
  var row: RowSoftmax;
  row.shift = max(logit, others.x);
  row.own = exponential(logit - row.shift);
  row.others = others.y * exponential(others.x - row.shift);
  // 1 is in the sum: the own exponential, or one of the others.
  let rest = select((row.others - 1.0) + row.own, row.others, logit >= others.x);
  row.loss = (row.shift - logit) + logOnePlus(rest);
  return row;
}
