// Softmax of rows: probabilities[r, c] = exp(scale * logits[r, c] - shift) / total, with (shift, total) = rows[r].
//
// logits, probabilities [rows, columns]; rows [rows] of vec2 (softmax_rows).
// Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  columns: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> probabilities: array<f32>;

#include grid
#include exponential

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows * params.columns) { return; }
  let row = rows[index / params.columns];
  probabilities[index] = exponential(params.scale * logits[index] - row.x) / row.y;
}
