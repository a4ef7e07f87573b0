// Gradient of global average pooling: gradInput[r, p] = gradOutput[r] / plane, written or added to what is there.
//
// gradOutput [rows], gradInput [rows, plane]. Grid: one invocation an input element, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  plane: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradInput: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows * params.plane) { return; }
  var value = gradOutput[index / params.plane] / f32(params.plane);
  if (params.accumulate == 1u) { value += gradInput[index]; }
  gradInput[index] = value;
}
