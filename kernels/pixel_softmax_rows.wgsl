// The softmax of each pixel over the channels, its logits interpolated where they are read (UPSAMPLE):
//
//   rows[p] = (shift, total): the largest logit, and the sum of exp(logit - shift)
//
// logits as in include/pixel_params, rows [pixels] of vec2. A launch takes the channels firstRound to endRound and continues
// from `rows`. Grid: one invocation a pixel, 64 a workgroup, folded into rows.
#include pixel_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<vec2<f32>>;

#include grid
#include exponential
#include pixel_logits

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.images * params.outHeight * params.outWidth) { return; }
  let pixel = pixelOf(index);
  var row = vec2<f32>(-3.402823e38, 0.0);
  if (params.firstRound > 0u) { row = rows[index]; }
  for (var channel = params.firstRound; channel < min(params.endRound, params.channels); channel++) {
    let logit = logitOf(pixel, channel);
    if (logit > row.x) {
      row.y *= exponential(row.x - logit);
      row.x = logit;
    }
    row.y += exponential(logit - row.x);
  }
  rows[index] = row;
}
