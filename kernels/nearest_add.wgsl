// The top-down step of a feature pyramid, a coarse map repeated to the size of a fine one and added to it:
//
//   output[c, y, x] = lateral[c, y, x] + coarse[c, i(y), j(x)]
//
// with the nearest input of include/nearest_place. coarse [planes, inHeight, inWidth]; lateral, output [planes, outHeight,
// outWidth]. Grid: one invocation an output element, 64 a workgroup, folded into rows.
struct Params {
  planes: u32,
  inHeight: u32,
  inWidth: u32,
  outHeight: u32,
  outWidth: u32,
  scaleY: f32,
  scaleX: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> coarse: array<f32>;
@group(0) @binding(2) var<storage, read> lateral: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

#include grid
#include nearest_place

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.planes * params.outHeight * params.outWidth) { return; }
  let row = index / params.outWidth;
  let i = nearestPlace(row % params.outHeight, params.inHeight, params.scaleY);
  let j = nearestPlace(index % params.outWidth, params.inWidth, params.scaleX);
  let plane = row / params.outHeight;
  output[index] = lateral[index] + coarse[(plane * params.inHeight + i) * params.inWidth + j];
}
