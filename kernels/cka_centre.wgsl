// Samples of features, packed (see include/similarity_samples), each column minus its mean over the group's samples:
//
//   features[g, c, s] = x(s) - mean over the group of x      x(s) = channel c of sample s
//
// Centred before any product, because the products of features with a large mean would cancel. The first sample is
// taken off beforehand: so a column that does not vary becomes exactly zero.
//
// input [images, channels, height, width]. Grid: one invocation a (group, channel), 64 a workgroup, folded into rows.
#include similarity_samples

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> features: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(workgroup, workgroups, local, 64u);
  let channel = index % params.paddedChannels;
  let group = index / params.paddedChannels;
  if (group >= params.groups) { return; }

  // The padding has no images.
  let groupImages = select(0u, params.samples / params.positions, channel < params.channels);
  let plane = params.height * params.width;
  let first = (group * (params.samples / params.positions) * params.channels + min(channel, params.channels - 1u)) * plane;
  let pivot = input[first + gridPlace(0u, params.gridRows, params.height) * params.width +
    gridPlace(0u, params.gridColumns, params.width)];
  let to = index * params.paddedSamples;
  var end = 0u;
  var sum = 0.0;
  // Differences are kept in place of the samples: finding a sample's place again would cost more than its load.
  for (var image = 0u; image < groupImages; image++) {
    for (var row = 0u; row < params.gridRows; row++) {
      let start = first + image * params.channels * plane + gridPlace(row, params.gridRows, params.height) * params.width;
      for (var column = 0u; column < params.gridColumns; column++) {
        let difference = input[start + gridPlace(column, params.gridColumns, params.width)] - pivot;
        features[to + end] = difference;
        sum += difference;
        end++;
      }
    }
  }
  let mean = sum / f32(params.samples);
  for (var sample = 0u; sample < end; sample++) { features[to + sample] -= mean; }
  for (var sample = end; sample < params.paddedSamples; sample++) { features[to + sample] = 0.0; }
}
