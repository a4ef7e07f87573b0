// Adds split sums up, in the order of the splits, into the leading slice of a wider stored gradient:
//
//   gradient[row * storedRow + column] += sum over s of partial[s, row, column]
//
// partial [splits, rows, columns]; gradient stored [more rows, storedRow >= columns].
// Grid: one invocation an element of (rows, columns), 64 a workgroup, folded into rows.
struct Params {
  splits: u32,
  rows: u32,
  columns: u32,
  storedRow: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  let count = params.rows * params.columns;
  if (index >= count) { return; }
  var sum = 0.0;
  for (var s = 0u; s < params.splits; s++) { sum += partial[s * count + index]; }
  gradient[(index / params.columns) * params.storedRow + index % params.columns] += sum;
}
