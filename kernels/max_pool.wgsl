// Max-pooling:
//
//   output[c, y, x] = max over tapY, tapX of input[c, y * stride + tapY - padding, x * stride + tapX - padding]
//
// over positions inside the input. input [planes, inHeight, inWidth], output [planes, outHeight, outWidth]; a plane is
// one channel of one image. Grid: one invocation an output element, 64 a workgroup, folded into rows.
#include pool_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.planes * params.outHeight * params.outWidth) { return; }
  let row = index / params.outWidth;
  let firstX = i32(index % params.outWidth) * params.stride - params.padding;
  let firstY = i32(row % params.outHeight) * params.stride - params.padding;
  let start = (row / params.outHeight) * params.inHeight * params.inWidth;
  var best = -3.402823e38;
  for (var y = max(firstY, 0); y < min(firstY + params.window, i32(params.inHeight)); y++) {
    for (var x = max(firstX, 0); x < min(firstX + params.window, i32(params.inWidth)); x++) {
      best = max(best, input[start + u32(y) * params.inWidth + u32(x)]);
    }
  }
  output[index] = best;
}
