// InfoNCE, row by row: the positive logit joins the softmax over the queue (softmax_parts of query x queue),
//
//   positive     = <query[r], keys[r]> / temperature
//   logSum[r]    = log(exp(positive) + sum over j of exp(<query[r], queue[j]> / temperature))
//   losses[r]    = logSum[r] - positive                              cross-entropy with the positive as label
//   positives[r] = exp(positive - logSum[r])                         its probability, for the gradient
//
// query, keys [rows, dimension]; partial [rows, segments] of vec2. Grid: one invocation a row, 64 a workgroup.
struct Params {
  rows: u32,
  dimension: u32,
  segments: u32,
  scale: f32, // 1 / temperature
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<f32>;
@group(0) @binding(3) var<storage, read> partial: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> logSum: array<f32>;
@group(0) @binding(5) var<storage, read_write> positives: array<f32>;
@group(0) @binding(6) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  if (row >= params.rows) { return; }
  var product = 0.0;
  for (var at = row * params.dimension; at < (row + 1u) * params.dimension; at++) {
    product = fma(query[at], keys[at], product);
  }
  let positive = params.scale * product;
  var highest = positive;
  for (var s = 0u; s < params.segments; s++) { highest = max(highest, partial[row * params.segments + s].x); }
  var sum = exp(positive - highest);
  for (var s = 0u; s < params.segments; s++) {
    let part = partial[row * params.segments + s];
    sum = fma(part.y, exp(part.x - highest), sum);
  }
  let logarithm = highest + log(sum);
  logSum[row] = logarithm;
  positives[row] = exp(positive - logarithm);
  losses[row] = logarithm - positive;
}
