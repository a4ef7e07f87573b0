// Sampled positions of feature maps, packed for the products that follow (see include/similarity_samples).
//
//   features[g, c, s] = input at sample s                    squares[part, g, s] = sum of its squares over the part's channels
//   with NORMALISE: that channel vector scaled to length one; a zero vector stays zero,
//                  and one whose length is no finite number becomes NaN
//
// input [groups, channels, height, width]; squares [parts, groups, paddedSamples], without NORMALISE.
// Grid: one invocation a (group, part, sample), 64 a workgroup, folded into rows. A part is channelsPerPart channels, so
// that few positions with many channels still fill a device; with NORMALISE one part holds all channels.
#include similarity_samples

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> features: array<f32>;
#if !NORMALISE
@group(0) @binding(3) var<storage, read_write> squares: array<f32>;
#end

#include grid

#if NORMALISE
// Divides the length out, given its square.
fn lengthScale(square: f32) -> f32 {
  let bits = bitcast<u32>(square);
  // Of infinity and NaN it is NaN; tested by bits, see include/not_a_number.
  if ((bits & 0x7fffffffu) >= 0x7f800000u) { return bitcast<f32>(bits | 0x7fc00000u); }
  return select(0.0, 1.0 / sqrt(square), square > 0.0);
}
#end

// Index of channel 0 of a sample; a group is one image.
fn sampleStart(image: u32, sample: u32) -> u32 {
  let row = gridPlace(sample / params.gridColumns, params.gridRows, params.height);
  let column = gridPlace(sample % params.gridColumns, params.gridColumns, params.width);
  return (image * params.channels * params.height + row) * params.width + column;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(workgroup, workgroups, local, 64u);
  let sample = index % params.paddedSamples;
  let parts = (params.paddedChannels + params.channelsPerPart - 1u) / params.channelsPerPart;
  let part = (index / params.paddedSamples) % parts;
  let group = index / params.paddedSamples / parts;
  if (group >= params.groups) { return; }

  let plane = params.height * params.width;
  let first = part * params.channelsPerPart;
  let end = min(first + params.channelsPerPart, params.paddedChannels);
  var endInput = min(end, params.channels);
  var at = 0u;
  if (sample < params.samples) { at = sampleStart(group, sample) + first * plane; } else { endInput = first; }
  var to = (group * params.paddedChannels + first) * params.paddedSamples + sample;

  var sum = 0.0;
  #if NORMALISE
  let start = at;
  for (var channel = first; channel < endInput; channel++) {
    let value = input[at];
    sum = fma(value, value, sum);
    at += plane;
  }
  at = start;
  let scale = lengthScale(sum);
  #end
  for (var channel = first; channel < endInput; channel++) {
    let value = input[at];
    #if NORMALISE
    features[to] = scale * value;
    #else
    features[to] = value;
    sum = fma(value, value, sum);
    #end
    at += plane;
    to += params.paddedSamples;
  }
  for (var channel = endInput; channel < end; channel++) {
    features[to] = 0.0;
    to += params.paddedSamples;
  }
  #if !NORMALISE
  squares[(part * params.groups + group) * params.paddedSamples + sample] = sum;
  #end
}
