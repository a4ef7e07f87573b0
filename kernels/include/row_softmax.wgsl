#include exponential

// One row of a softmax whose own logit stands against others. Exponentials are relative to the row's largest logit, so
// they neither overflow nor all vanish, and the loss of a row that is nearly right is a sum of small numbers, not the
// difference of two large ones.
struct RowSoftmax {
  shift: f32,  // the largest logit
  own: f32,    // exp(logit - shift)
  others: f32, // sum of exp(other - shift)
  rest: f32,   // own + others - 1, without loss of digits: where the own logit is the largest, the others
  loss: f32,   // -log(own / (own + others))
}

fn rowSoftmax(logit: f32, others: vec2<f32>) -> RowSoftmax {
  var row: RowSoftmax;
  row.shift = max(logit, others.x);
  row.own = exponential(logit - row.shift);
  row.others = others.y * exponential(others.x - row.shift);
  // 1 is in the sum: the own exponential, or one of the others.
  row.rest = select((row.others - 1.0) + row.own, row.others, logit >= others.x);
  row.loss = (row.shift - logit) + logOnePlus(row.rest);
  return row;
}
