// Gradient of the L2 normalisation of rows: with u = output[r] and norm = max(sqrt(squares[r]), epsilon),
//
//   gradInput[r] = (gradOutput[r] - u * <u, gradOutput[r]>) / norm       written or added to what is there
//
// output, gradOutput, gradInput [rows, columns]; squares [rows], the input's; products [rows], <u, gradOutput> (both of
// row_products). Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  columns: u32,
  epsilon: f32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output: array<f32>;
@group(0) @binding(2) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(3) var<storage, read> squares: array<f32>;
@group(0) @binding(4) var<storage, read> products: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradInput: array<f32>;

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
  let row = index / params.columns;
  var value = (gradOutput[index] - output[index] * products[row]) / norm(squares[row], params.epsilon);
  if (params.accumulate == 1u) { value += gradInput[index]; }
  gradInput[index] = value;
}
