// Sum of two tensors: output = a + scale * b, where output may be what a was (then bind it as output alone, ACCUMULATE).
// Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  count: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
#if !ACCUMULATE
@group(0) @binding(3) var<storage, read> a: array<f32>;
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
  output[index] = ${ACCUMULATE ? "output" : "a"}[index] + params.scale * b[index];
}
