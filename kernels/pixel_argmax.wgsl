// The channel of each pixel's largest logit, interpolated where it is read (UPSAMPLE), so that logits of the result's size
// never exist; of equal ones the first, and the first NaN before all numbers:
//
//   classes[p] = first c whose order(logit[c]) is the largest          (include/order)
//
// logits as in include/pixel_params, classes [pixels]. A launch takes the channels firstRound to endRound and continues from
// `classes`. Grid: one invocation a pixel, 64 a workgroup, folded into rows.
#include pixel_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> classes: array<u32>;

#include grid
#include order
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
  var best = 0u;
  if (params.firstRound > 0u) { best = classes[index]; }
  var highest = order(logitOf(pixel, best));
  for (var channel = params.firstRound; channel < min(params.endRound, params.channels); channel++) {
    let place = order(logitOf(pixel, channel));
    if (place > highest) {
      best = channel;
      highest = place;
    }
  }
  classes[index] = best;
}
