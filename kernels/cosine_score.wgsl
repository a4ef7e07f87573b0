// Cosines between corresponding rows of a candidate and the teacher, from products of the rows, added to a slot of the
// score table:
//
//   cosine(i) = cross / (|teacher's row| |candidate's row|)      two zero rows agree: 1; one zero row: 0; NaN stays NaN
//
// cross, square (the candidate's), teacherSquare [groups, paddedSamples], of which the padding is left out.
// table [slots, 64]: lane l of 32 adds (sum of cosines, number of rows) at 2 l. The lanes take turns at the rows: round k is
// rows 32 k to 32 k + 31, and a launch does the rounds firstRound to endRound. Grid: one workgroup.
struct Params {
  groups: u32,
  samples: u32,
  paddedSamples: u32,
  slot: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cross: array<f32>;
@group(0) @binding(2) var<storage, read> square: array<f32>;
@group(0) @binding(3) var<storage, read> teacherSquare: array<f32>;
@group(0) @binding(4) var<storage, read_write> table: array<vec2<f32>>;

#include cosine

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {
  let end = min(32u * params.endRound, params.groups * params.samples);
  var sum = 0.0;
  var count = 0.0;
  for (var row = 32u * params.firstRound + lane; row < end; row += 32u) {
    let at = (row / params.samples) * params.paddedSamples + row % params.samples;
    sum += cosine(cross[at], teacherSquare[at], square[at]);
    count += 1.0;
  }
  table[params.slot * 32u + lane] += vec2<f32>(sum, count);
}
