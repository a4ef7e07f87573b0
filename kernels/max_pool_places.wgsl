// Where each window of a max-pooling has its maximum, for the gradient:
//
//   places[c, y, x] = index in `input` of the window's first maximum, in row order; of its last NaN where there is one
//
// as in PyTorch. Shapes as in max_pool. A launch looks at the windows' rows firstRound to endRound and continues from
// `places`. Grid: one invocation a window, 64 a workgroup, folded into rows.
#include pool_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> places: array<u32>;

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
  var best = start + u32(max(firstY, 0)) * params.inWidth + u32(max(firstX, 0));
  if (params.firstRound > 0u) { best = places[index]; }
  var highest = order(input[best]);
  for (var y = max(firstY + i32(params.firstRound), 0); y < min(firstY + i32(params.endRound), i32(params.inHeight)); y++) {
    for (var x = max(firstX, 0); x < min(firstX + params.window, i32(params.inWidth)); x++) {
      let at = start + u32(y) * params.inWidth + u32(x);
      let value = order(input[at]);
      if (value > highest || value == NOT_A_NUMBER) {
        best = at;
        highest = value;
      }
    }
  }
  places[index] = best;
}
