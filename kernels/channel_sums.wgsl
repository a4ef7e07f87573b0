// Sums over the images and positions of each channel, in parts that sum_partials adds up (the gradient of a bias):
//
//   partial[p, c] = sum of input[n, c, position] over every `parts`-th pair (n, position), from the p-th on
//
// input [images, channels, plane]; partial [parts, channels].
// Grid: one invocation an element of partial, 64 a workgroup, folded into rows.
struct Params {
  images: u32,
  channels: u32,
  plane: u32,
  parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.parts * params.channels) { return; }
  let channel = index % params.channels;
  var sum = 0.0;
  for (var term = index / params.channels; term < params.images * params.plane; term += params.parts) {
    sum += input[(term / params.plane * params.channels + channel) * params.plane + term % params.plane];
  }
  partial[index] = sum;
}
