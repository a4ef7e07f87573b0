// Writes rows into a ring: queue[(pointer + r) mod length] = keys[r]. The pointer itself is kept by the host.
//
// keys [rows, dimension], queue [length, dimension], rows <= length. Grid: one invocation an element, 64 a workgroup.
struct Params {
  rows: u32,
  dimension: u32,
  length: u32,
  pointer: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<f32>;
@group(0) @binding(2) var<storage, read_write> queue: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows * params.dimension) { return; }
  let row = (params.pointer + index / params.dimension) % params.length;
  queue[row * params.dimension + index % params.dimension] = keys[index];
}
