// A multiple of a tensor: output = factor * input, or with SCALAR factor * scalar * input; written or added to what is
// there.
//
// input, output [count]; scalar [1], only with SCALAR. Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  count: u32,
  factor: f32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
#if SCALAR
@group(0) @binding(3) var<storage, read> scalar: array<f32>;
#end

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.count) { return; }
  #if SCALAR
  var value = params.factor * scalar[0] * input[index];
  #else
  var value = params.factor * input[index];
  #end
  if (params.accumulate == 1u) { value += output[index]; }
  output[index] = value;
}
