// Maps side by side along the channels: a part's images into those of the whole, or with SPLIT back,
//
//   whole[n, first + i] = part[n, i]
//   part[n, i]          = whole[n, first + i]            written, or added to what is there
//
// part [images, partImage], whole [images, wholeImage]. Grid: one invocation an element of the part, 64 a workgroup, folded
// into rows. A launch a part: copies of buffers would be one for each image, and end the compute pass.
struct Params {
  images: u32,
  partImage: u32,
  wholeImage: u32,
  first: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
#if SPLIT
@group(0) @binding(1) var<storage, read> whole: array<f32>;
@group(0) @binding(2) var<storage, read_write> part: array<f32>;
#else
@group(0) @binding(1) var<storage, read> part: array<f32>;
@group(0) @binding(2) var<storage, read_write> whole: array<f32>;
#end

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.images * params.partImage) { return; }
  let at = index / params.partImage * params.wholeImage + params.first + index % params.partImage;
  #if SPLIT
  var value = whole[at];
  if (params.accumulate == 1u) { value += part[index]; }
  part[index] = value;
  #else
  whole[at] = part[index];
  #end
}
