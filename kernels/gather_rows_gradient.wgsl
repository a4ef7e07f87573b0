// Gradient of gather_rows: gradInput[i] = sum of gradOutput[r] over the rows r with order[r] = i, in their order; written or
// added to what is there.
//
// gradOutput [rows, columns], order [rows], gradInput [inputRows, columns]. A launch looks at the rows firstRound to
// endRound. Grid: one invocation an input element, 64 a workgroup, folded into rows; gathered, so no atomics.
struct Params {
  inputRows: u32,
  columns: u32,
  accumulate: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradInput: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.inputRows * params.columns) { return; }
  let inputRow = index / params.columns;
  let column = index % params.columns;
  var sum = 0.0;
  if (params.accumulate == 1u || params.firstRound > 0u) { sum = gradInput[index]; }
  for (var row = params.firstRound; row < params.endRound; row++) {
    if (order[row] == inputRow) { sum += gradOutput[row * params.columns + column]; }
  }
  gradInput[index] = sum;
}
