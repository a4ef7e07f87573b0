// Exponential moving average of a whole arena: average = decay * average + (1 - decay) * value.
// Grid: one invocation four elements, 64 a workgroup, folded into rows.
struct Params {
  quads: u32,
  decay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> value: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> average: array<vec4<f32>>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.quads) { return; }
  average[index] = params.decay * average[index] + (1.0 - params.decay) * value[index];
}
