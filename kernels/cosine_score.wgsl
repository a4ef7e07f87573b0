// Cosines between corresponding rows of a teacher's and a candidate's matrices, added to a slot of the score table:
//
//   cosine(i) = cross[i] / sqrt(teacherSquare[i] * square[i])      two zero rows agree: 1; one zero row: 0; NaN of NaN
//
// cross, square, teacherSquare [groups, paddedSamples], of which the first `samples` of each group are rows.
// table [slots, 64]: lane l of 32 adds (sum of cosines, number of rows) at 2 l. A round is 32 rows, one a lane; a launch
// does the rounds firstRound to endRound. Grid: one workgroup.
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
  let rows = params.groups * params.samples;
  var sum = 0.0;
  var count = 0.0;
  for (var round = params.firstRound; round < params.endRound; round++) {
    let row = 32u * round + lane;
    if (row < rows) {
      let at = (row / params.samples) * params.paddedSamples + row % params.samples;
      sum += cosine(cross[at], teacherSquare[at], square[at]);
      count += 1.0;
    }
  }
  table[params.slot * 32u + lane] += vec2<f32>(sum, count);
}
