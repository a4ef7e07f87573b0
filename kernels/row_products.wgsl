// Products of corresponding rows of two matrices: products[r] = sum over c of a[r, c] * b[r, c].
//
// a, b [rows, columns]; products [rows]. The sum is taken in blocks of BLOCK columns, each added up before it joins the
// rest; a launch does the blocks firstRound to endRound and adds them to those of the launch before.
// Grid: one invocation a row, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  columns: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> products: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = linearIndex(group, groups, local, 64u);
  if (row >= params.rows) { return; }
  let end = (row + 1u) * params.columns;
  var sum = 0.0;
  if (params.firstRound > 0u) { sum = products[row]; }
  for (var round = params.firstRound; round < params.endRound; round++) {
    let first = row * params.columns + round * ${BLOCK}u;
    var block = 0.0;
    for (var at = first; at < min(first + ${BLOCK}u, end); at++) { block = fma(a[at], b[at], block); }
    sum += block;
  }
  products[row] = sum;
}
