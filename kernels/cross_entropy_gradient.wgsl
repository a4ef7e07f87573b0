// Gradient of the mean softmax cross-entropy:
//
//   gradLogits[r, c] = factor * (exp(logits[r, c] - logSum[r]) - [c = labels[r]]),  factor = gradLoss / rows
//
// Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  columns: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> logSum: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradLogits: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows * params.columns) { return; }
  let row = index / params.columns;
  let hit = select(0.0, 1.0, index % params.columns == labels[row]);
  gradLogits[index] = params.factor * (exp(logits[index] - logSum[row]) - hit);
}
