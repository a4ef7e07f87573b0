// The share of each image in the HSIC of its group of samples, see cka_score: the terms of its own samples. With `total`
// and `teacherTotal` the sums of the group's diagonals l and k, and i the samples of one image,
//
//   HSIC(K, L) = scale * (sum over i of (cross_i + totals * teacherTotal * l_i + diagonals * k_i l_i))
//
// cross, square, the sums of gram_compare over its blocks, and diagonal [groups, paddedSamples]; a group has groupImages
// images, one after the other, of samples / groupImages samples each.
// values [.., images, 3]: the shares of (HSIC(K,L), HSIC(L,L), HSIC(K,K)) at 3 (first + image). Launches with TEACHER write
// HSIC(K,K) of the teacher's own samples to `values` [images]. Grid: one invocation for each image.
struct Params {
  images: u32,
  groupImages: u32,
  samples: u32,
  paddedSamples: u32,
  scale: f32,
  totals: f32,
  diagonals: f32,
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cross: array<f32>;
@group(0) @binding(2) var<storage, read> square: array<f32>;
@group(0) @binding(3) var<storage, read> diagonal: array<f32>;
@group(0) @binding(4) var<storage, read_write> values: array<f32>;
#if !TEACHER
@group(0) @binding(5) var<storage, read> teacherDiagonal: array<f32>;
@group(0) @binding(6) var<storage, read> teacherShares: array<f32>;
#end

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let image = linearIndex(group, groups, local, 64u);
  if (image >= params.images) { return; }
  let start = image / params.groupImages * params.paddedSamples;
  let each = params.samples / params.groupImages;
  let first = image % params.groupImages * each;
  var total = 0.0;
  var ownLength = 0.0;
  var own = 0.0;
  #if !TEACHER
  var teacherTotal = 0.0;
  var both = 0.0;
  #end
  for (var sample = 0u; sample < params.samples; sample++) {
    let l = diagonal[start + sample];
    total += l;
    #if !TEACHER
    let k = teacherDiagonal[start + sample];
    teacherTotal += k;
    #end
    if (sample >= first && sample < first + each) {
      ownLength += l;
      own += square[start + sample] + params.diagonals * l * l;
      #if !TEACHER
      both += cross[start + sample] + params.diagonals * k * l;
      #end
    }
  }
  let ownShare = params.scale * (own + params.totals * total * ownLength);
  #if TEACHER
  values[image] = ownShare;
  #else
  let to = 3u * (params.first + image);
  values[to] = params.scale * (both + params.totals * teacherTotal * ownLength);
  values[to + 1u] = ownShare;
  values[to + 2u] = teacherShares[image];
  #end
}
