// Max-pooling:
//
//   output[c, y, x] = max over tapY, tapX of input[c, y * stride + tapY - padding, x * stride + tapX - padding]
//
// over positions inside the input; NaN where a window holds one. input [planes, inHeight, inWidth], output [planes,
// outHeight, outWidth]; a plane is one channel of one image. A launch looks at the windows' rows firstRound to endRound
// and continues from `output`. Grid: one invocation an output element, 64 a workgroup, folded into rows.
#include pool_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

#include grid
#include order

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.planes * params.outHeight * params.outWidth) { return; }
  let row = index / params.outWidth;
  #include pool_window
  var best = input[start + u32(max(firstY, 0)) * params.inWidth + u32(max(firstX, 0))];
  if (params.firstRound > 0u) { best = output[index]; }
  var place = order(best);
  for (var y = max(firstY + i32(params.firstRound), 0); y < min(firstY + i32(params.endRound), i32(params.inHeight)); y++) {
    for (var x = max(firstX, 0); x < min(firstX + params.window, i32(params.inWidth)); x++) {
      let value = input[start + u32(y) * params.inWidth + u32(x)];
      if (order(value) > place) {
        best = value;
        place = order(value);
      }
    }
  }
  output[index] = best;
}
