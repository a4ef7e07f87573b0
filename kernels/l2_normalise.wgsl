// L2 normalisation of rows: output[r, c] = input[r, c] / max(sqrt(squares[r]), epsilon), and NaN in a row with a NaN.
//
// input, output [rows, columns]; squares [rows], the rows' sums of squares (row_products).
// Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  columns: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> squares: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

#include grid
#include norm

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows * params.columns) { return; }
  output[index] = input[index] / norm(squares[index / params.columns], params.epsilon);
}
