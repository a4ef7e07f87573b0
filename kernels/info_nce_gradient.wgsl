// Gradient of the mean InfoNCE loss with respect to the logits of the queue, in place:
//
//   logits[r, j] = factor * exp(scale * logits[r, j] - shift) / total,  factor = 1 / (rows * temperature)
//
// logits [rows, columns]; (shift, total) = rows[r]. Multiplied with the queue this is the queue's part of the query's gradient.
// Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  columns: u32,
  scale: f32, // 1 / temperature
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;

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
  logits[index] = params.factor * (exponential(params.scale * logits[index] - row.x) / row.y);
}
