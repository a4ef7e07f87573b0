// Mean of a short vector, summed in order: output[0] = sum of input / count. Grid: one workgroup, one invocation works.
struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var index = 0u; index < params.count; index++) { sum += input[index]; }
  output[0] = sum / f32(params.count);
}
