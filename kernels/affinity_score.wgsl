// Cosines between the rows of a candidate's self-affinities and the teacher's, added to a slot of the score table:
//
//   cosine(i) = cross / (|a_i| |b_i|)      two zero rows agree: 1; one zero row: 0
//
// cross, square [parts, groups, samples], summed over parts in order; teacherSquare [groups, samples].
// table [slots, 64]: lane l of 32 adds (sum of cosines, number of rows) at 2 l. Grid: one workgroup.
struct Params {
  groups: u32,
  samples: u32,
  paddedSamples: u32,
  parts: u32,
  slot: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cross: array<f32>;
@group(0) @binding(2) var<storage, read> square: array<f32>;
@group(0) @binding(3) var<storage, read> teacherSquare: array<f32>;
@group(0) @binding(4) var<storage, read_write> table: array<vec2<f32>>;

#include cosine

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {
  let step = params.groups * params.paddedSamples;
  var sum = 0.0;
  var count = 0.0;
  for (var row = lane; row < params.groups * params.samples; row += 32u) {
    let at = (row / params.samples) * params.paddedSamples + row % params.samples;
    var product = 0.0;
    var own = 0.0;
    for (var part = 0u; part < params.parts; part++) {
      product += cross[part * step + at];
      own += square[part * step + at];
    }
    sum += cosine(product, teacherSquare[at], own);
    count += 1.0;
  }
  table[params.slot * 32u + lane] += vec2<f32>(sum, count);
}
