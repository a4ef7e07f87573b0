// Adds the rows of a matrix up, in order, into a vector: sums[c] += sum over r of input[r, c]. (Gradient of a bias.)
//
// input [rows, columns], sums [columns]. Grid: one invocation a column, 64 a workgroup.
struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.columns) { return; }
  var sum = 0.0;
  for (var row = 0u; row < params.rows; row++) { sum += input[row * params.columns + id.x]; }
  sums[id.x] += sum;
}
