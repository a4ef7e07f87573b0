// Gradient of ReLU: gradInput = gradOutput where output is not 0, else 0; written or added to what is there.
// Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  count: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output: array<f32>;
@group(0) @binding(2) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradInput: array<f32>;

#include grid
#include rectifier

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.count) { return; }
  var value = passOne(gradOutput[index], output[index]);
  if (params.accumulate == 1u) { value += gradInput[index]; }
  gradInput[index] = value;
}
