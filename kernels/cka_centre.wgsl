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

  var end = 0u;
  if (channel < params.channels) { end = params.samples; }
  let offset = channel * params.height * params.width;
  let pivot = input[select(0u, sampleStart(group, 0u) + offset, end > 0u)];
  var sum = 0.0;
  for (var sample = 0u; sample < end; sample++) { sum += input[sampleStart(group, sample) + offset] - pivot; }
  let mean = sum / f32(params.samples);
  let to = index * params.paddedSamples;
  for (var sample = 0u; sample < end; sample++) {
    features[to + sample] = (input[sampleStart(group, sample) + offset] - pivot) - mean;
  }
  for (var sample = end; sample < params.paddedSamples; sample++) { features[to + sample] = 0.0; }
}
