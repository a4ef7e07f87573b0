// Gradient of the mean cross-entropy between distributions p and the softmax of logits:
//
//   gradLogits[r, c] = gradLoss * factor * (exp(scale * logits[r, c] - shift) / total - p[r, c])    factor = scale / rows
//
// written or added to what is there. logits, targets (p), gradLogits [rows, columns]; rows [rows] of vec2 (shift, total) of
// softmax_rows; gradLoss [1]. Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  columns: u32,
  scale: f32,
  factor: f32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> gradLoss: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradLogits: array<f32>;

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
  let probability = exponential(params.scale * logits[index] - row.x) / row.y;
  var value = gradLoss[0] * params.factor * (probability - targets[index]);
  if (params.accumulate == 1u) { value += gradLogits[index]; }
  gradLogits[index] = value;
}
