// InfoNCE, row by row: the positive logit joins the softmax over the queue (softmax_parts of query x queue),
//
//   positive  = <query[r], keys[r]> / temperature
//   rows[r]   = (shift, total): the largest logit, and the sum of exp(logit - shift), the positive's included
//   misses[r] = 1 - exp(positive - shift) / total                     what the positive's probability lacks
//   losses[r] = -log(exp(positive - shift) / total)                   cross-entropy with the positive as label
//
// products [rows] (row_products of query and keys); partial [rows, segments] of vec2; rows [rows] of vec2.
// Grid: one invocation a row, 64 a workgroup.
struct Params {
  rows: u32,
  segments: u32,
  scale: f32, // 1 / temperature
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<f32>;
@group(0) @binding(2) var<storage, read> partial: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> rows: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> misses: array<f32>;
@group(0) @binding(5) var<storage, read_write> losses: array<f32>;

#include row_softmax
#include join_parts

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.rows) { return; }
  let row = rowSoftmax(params.scale * products[id.x], joinParts(id.x, params.segments));
  let total = row.own + row.others;
  rows[id.x] = vec2<f32>(row.shift, total);
  misses[id.x] = row.others / total;
  losses[id.x] = row.loss;
}
