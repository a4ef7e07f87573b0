// Softmax cross-entropy of every pixel over the channels, its logits interpolated where they are read (UPSAMPLE), so that
// logits of the labels' size never exist:
//
//   rows[p]      = (shift, rest): the largest logit, and the sum of exp(logit - shift) over the channels, less 1
//   losses[0, p] = -log(exp(logit[label] - shift) / (1 + rest))
//   losses[1, p] = 1                                                 what counts; both 0 for an ignored label
//
// A label that is no channel, and not the ignored one, gives NaN. Reading the channels once, online, costs an exponential
// each; a maximum found first would cost the interpolation twice.
//
// logits as in include/pixel_params; labels [pixels]; rows [pixels] of vec2; losses [2, pixels]. A launch takes the channels
// firstRound to endRound, leaves (largest, sum) of the others so far in `rows`, and the last one finishes.
// Grid: one invocation a pixel, 64 a workgroup, folded into rows.
#include pixel_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> rows: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;

#include grid
#include pixel_logits
#include row_softmax

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  let pixels = params.images * params.outHeight * params.outWidth;
  if (index >= pixels) { return; }
  let label = labels[index];
  let own = min(label, params.channels - 1u);
  let pixel = pixelOf(index);
  var others = vec2<f32>(-3.402823e38, 0.0);
  if (params.firstRound > 0u) { others = rows[index]; }
  for (var channel = params.firstRound; channel < min(params.endRound, params.channels); channel++) {
    if (channel == own) { continue; }
    let logit = logitOf(pixel, channel);
    if (logit > others.x) {
      others.y *= exponential(others.x - logit);
      others.x = logit;
    }
    others.y += exponential(logit - others.x);
  }
  if (params.endRound < params.channels) {
    rows[index] = others;
    return;
  }
  // Also of an ignored pixel, whose gradient is 0 times its softmax, so that NaN stays one, as in PyTorch.
  let row = rowSoftmax(logitOf(pixel, own), others);
  rows[index] = vec2<f32>(row.shift, row.rest);
  let counts = label != params.ignored;
  let loss = select(row.loss, bitcast<f32>(label | 0x7fc00000u), label >= params.channels);
  losses[index] = select(0.0, loss, counts);
  losses[pixels + index] = select(0.0, 1.0, counts);
}
