// Bilinear interpolation to another size:
//
//   output[c, y, x] = sum over the rows i and columns j next to (y, x) of weight(y, i) * weight(x, j) * input[c, i, j]
//
// with places and weights of include/linear_places. input [planes, inHeight, inWidth], output [planes, outHeight, outWidth];
// a plane is one channel of one image. Grid: one invocation a position of PLANES planes, 64 a workgroup, folded into rows:
// places cost divisions, so they are found once for several planes.
struct Params {
  planes: u32,
  inHeight: u32,
  inWidth: u32,
  outHeight: u32,
  outWidth: u32,
  stepY: i32,
  offsetY: i32,
  unitY: i32,
  stepX: i32,
  offsetX: i32,
  unitX: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

#include grid
#include linear_places

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  let outPlane = params.outHeight * params.outWidth;
  let firstPlane = index / outPlane * ${PLANES}u;
  if (firstPlane >= params.planes) { return; }
  let at = index % outPlane;
  let y = linearPlace(at / params.outWidth, params.inHeight, params.stepY, params.offsetY, params.unitY);
  let x = linearPlace(at % params.outWidth, params.inWidth, params.stepX, params.offsetX, params.unitX);
  let inPlane = params.inHeight * params.inWidth;
  let low = y.low * params.inWidth;
  let high = y.high * params.inWidth;
  #for p in 0..${PLANES}
  // Past the last plane it is read again, and nothing stored.
  let start${p} = min(firstPlane + ${p}u, params.planes - 1u) * inPlane;
  let left${p} = y.lowWeight * input[start${p} + low + x.low] + y.highWeight * input[start${p} + high + x.low];
  let right${p} = y.lowWeight * input[start${p} + low + x.high] + y.highWeight * input[start${p} + high + x.high];
  if (firstPlane + ${p}u < params.planes) {
    output[(firstPlane + ${p}u) * outPlane + at] = x.lowWeight * left${p} + x.highWeight * right${p};
  }
  #end
}
