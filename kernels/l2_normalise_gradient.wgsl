// Gradient of the L2 normalisation of rows: with u = output[r],
//
//   gradInput[r] = (gradOutput[r] - u * <u, gradOutput[r]>) / norm[r]       written or added to what is there
//
// output, gradOutput, gradInput [rows, columns]; norms [rows]. Grid: one invocation a row, 64 a workgroup.
struct Params {
  rows: u32,
  columns: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output: array<f32>;
@group(0) @binding(2) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(3) var<storage, read> norms: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradInput: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.rows) { return; }
  let start = id.x * params.columns;
  var product = 0.0;
  for (var at = start; at < start + params.columns; at++) { product = fma(output[at], gradOutput[at], product); }
  for (var at = start; at < start + params.columns; at++) {
    var value = (gradOutput[at] - output[at] * product) / norms[id.x];
    if (params.accumulate == 1u) { value += gradInput[at]; }
    gradInput[at] = value;
  }
}
