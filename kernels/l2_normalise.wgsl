// L2 normalisation of rows: output[r, c] = input[r, c] / norm[r] with norm[r] = max(sqrt(sum of input[r]^2), epsilon).
//
// input, output [rows, columns]; norms [rows] for the gradient. Grid: one invocation a row, 64 a workgroup.
struct Params {
  rows: u32,
  columns: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
@group(0) @binding(3) var<storage, read_write> norms: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.rows) { return; }
  let start = id.x * params.columns;
  var squares = 0.0;
  for (var column = 0u; column < params.columns; column++) {
    let value = input[start + column];
    squares = fma(value, value, squares);
  }
  let norm = max(sqrt(squares), params.epsilon);
  norms[id.x] = norm;
  for (var column = 0u; column < params.columns; column++) { output[start + column] = input[start + column] / norm; }
}
