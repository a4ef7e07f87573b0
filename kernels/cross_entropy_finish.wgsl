// Softmax cross-entropy, row by row, from softmax_parts of the logits without the labels' own:
//
//   rows[r]   = (shift, others): the largest logit, and the sum of exp(logits[r, c] - shift) over c other than the label
//   losses[r] = -log(exp(logits[r, labels[r]] - shift) / (the same + others))
//
// logits [rows, columns]; labels [rows]; partial [rows, segments] of vec2; rows [rows] of vec2.
// Grid: one invocation a row, 64 a workgroup.
struct Params {
  rows: u32,
  columns: u32,
  segments: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> partial: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> rows: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> losses: array<f32>;

#include row_softmax
#include join_parts

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.rows) { return; }
  let logit = logits[id.x * params.columns + labels[id.x]];
  let row = rowSoftmax(logit, joinParts(id.x, params.segments));
  rows[id.x] = vec2<f32>(row.shift, row.others);
  losses[id.x] = row.loss;
}
