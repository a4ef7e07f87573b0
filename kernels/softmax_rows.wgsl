// The softmax of rows, from softmax_parts of the logits:
//
//   rows[r] = (shift, total): the largest of scale * logits[r], and the sum of exp(scale * logits[r, c] - shift)
//
// With TARGETS also the cross-entropy with a distribution p over the columns, from products[r] = <p[r], logits[r]>:
//
//   losses[r] = -(sum over c of p[r, c] * log(exp(scale * logits[r, c] - shift) / total))
//             = shift + log(total) - scale * products[r]                                     for p[r] of sum 1
//
// partial [rows, segments] of vec2; rows [rows] of vec2; products, losses [rows]. Grid: one invocation a row, 64 a workgroup.
struct Params {
  rows: u32,
  segments: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> rows: array<vec2<f32>>;
#if TARGETS
@group(0) @binding(3) var<storage, read> products: array<f32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;
#end

#include row_softmax
#include join_parts

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.rows) { return; }
  let row = joinParts(id.x, params.segments);
  rows[id.x] = row;
  #if TARGETS
  // The largest logit's own exponential, 1, is in the total; what is left of it keeps its digits in log(1 + rest).
  losses[id.x] = (row.x - params.scale * products[id.x]) + logOnePlus(row.y - 1.0);
  #end
}
