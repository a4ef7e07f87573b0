// The positive's part of the query's gradient:  gradQuery[r, d] -= factor * misses[r] * keys[r, d]
//
// keys, gradQuery [rows, dimension]; misses [rows]; factor = 1 / (rows * temperature).
// Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  dimension: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<f32>;
@group(0) @binding(2) var<storage, read> misses: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradQuery: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows * params.dimension) { return; }
  gradQuery[index] -= params.factor * misses[index / params.dimension] * keys[index];
}
