// Mean of a short vector, summed in order: output[index] = sum of input / count. Grid: one workgroup, one invocation works.
struct Params {
  count: u32,
  index: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var at = 0u; at < params.count; at++) { sum += input[at]; }
  output[params.index] = sum / f32(params.count);
}
