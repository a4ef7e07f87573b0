// Global average pooling: output[r] = mean over p of input[r, p], a row being one channel of one image.
//
// input [rows, plane], output [rows]. Grid: one invocation a row, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  plane: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows) { return; }
  var sum = 0.0;
  for (var at = index * params.plane; at < (index + 1u) * params.plane; at++) { sum += input[at]; }
  output[index] = sum / f32(params.plane);
}
