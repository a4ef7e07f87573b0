// Copies a buffer, one vec4 an invocation: the memory traffic that kernels can sustain on the device. The benchmarks
// state other kernels' speed as a share of this one's. Not used in training.
//
// Grid: 64 vec4 a workgroup, folded into rows.
struct Params {
  count: u32, // vec4
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.count) { return; }
  output[index] = input[index];
}
