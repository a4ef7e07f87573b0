// Adds the parts of each sample's gray sum up, in a fixed order:
//
//   output[s, p] = scale * sum of input[s, p + k * parts], k = 0, 1, …
//
// input [samples, count], output [samples, parts]. Small images need one launch (parts 1, scale 1 / pixels), large ones two.
// Grid: one invocation an element of output, 64 a workgroup.
struct Params {
  samples: u32,
  count: u32,
  parts: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.samples * params.parts) { return; }
  let start = id.x / params.parts * params.count;
  var sum = 0.0;
  for (var at = id.x % params.parts; at < params.count; at += params.parts) { sum += input[start + at]; }
  output[id.x] = sum * params.scale;
}
