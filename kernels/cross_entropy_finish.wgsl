// Softmax cross-entropy, row by row, from softmax_parts of the logits:
//
//   logSum[r] = log(sum over c of exp(logits[r, c]))       losses[r] = logSum[r] - logits[r, labels[r]]
//
// logits [rows, columns]; labels [rows]; partial [rows, segments] of vec2. Grid: one invocation a row, 64 a workgroup.
struct Params {
  rows: u32,
  columns: u32,
  segments: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> partial: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> logSum: array<f32>;
@group(0) @binding(5) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  if (row >= params.rows) { return; }
  var highest = -3.402823e38;
  for (var s = 0u; s < params.segments; s++) { highest = max(highest, partial[row * params.segments + s].x); }
  var sum = 0.0;
  for (var s = 0u; s < params.segments; s++) {
    let part = partial[row * params.segments + s];
    sum = fma(part.y, exp(part.x - highest), sum);
  }
  logSum[row] = highest + log(sum);
  losses[row] = logSum[row] - logits[row * params.columns + labels[row]];
}
