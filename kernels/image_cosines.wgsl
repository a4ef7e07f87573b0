// For each image the mean of the cosines between corresponding rows of a candidate and the teacher, see cosine_score: what
// the score is a mean of, so that it can be taken again of other images.
//
// cross, square (the candidate's), teacherSquare [images, paddedSamples], of which the padding is left out.
// means: an image's mean at first + image. An image's rows are added in turn; a launch does the rows firstRound to endRound
// and adds them to those before. Grid: one invocation for each image.
struct Params {
  images: u32,
  samples: u32,
  paddedSamples: u32,
  first: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cross: array<f32>;
@group(0) @binding(2) var<storage, read> square: array<f32>;
@group(0) @binding(3) var<storage, read> teacherSquare: array<f32>;
@group(0) @binding(4) var<storage, read_write> means: array<f32>;

#include cosine
#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let image = linearIndex(group, groups, local, 64u);
  if (image >= params.images) { return; }
  var sum = 0.0;
  for (var row = params.firstRound; row < params.endRound; row++) {
    let at = image * params.paddedSamples + row;
    sum += cosine(cross[at], teacherSquare[at], square[at]);
  }
  let to = params.first + image;
  var before = 0.0;
  if (params.firstRound > 0u) { before = means[to]; }
  means[to] = before + sum / f32(params.samples);
}
