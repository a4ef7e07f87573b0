// Adds parts of sums up, in their order, into the leading slice of a wider stored tensor:
//
//   sums[row * storedRow + column] = sum over s of partial[s, row, column]       written or added to what is there
//
// partial [parts, rows, columns]; sums stored [more rows, storedRow >= columns]. A launch takes the parts firstRound to
// endRound and adds to those of the launch before.
// Grid: one invocation an element of (rows, columns), 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  columns: u32,
  storedRow: u32,
  accumulate: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

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
  for (var part = params.firstRound; part < params.endRound; part++) { sum += partial[part * count + index]; }
  let to = (index / params.columns) * params.storedRow + index % params.columns;
  if (params.accumulate == 1u || params.firstRound > 0u) { sum += sums[to]; }
  sums[to] = sum;
}
