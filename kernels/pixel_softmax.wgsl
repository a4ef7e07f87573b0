// Probabilities of the channels of each pixel, from pixel_softmax_rows:
//
//   probabilities[n, c, p] = exp(logit[c] - shift) / total       (shift, total) = rows[n, p]
//
// logits as in include/pixel_params; probabilities [images, channels, outHeight, outWidth].
// Grid: one invocation a pixel and CHANNELS channels, 64 a workgroup, folded into rows: places cost divisions, so they are
// found once for several channels.
#include pixel_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> probabilities: array<f32>;

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
  let plane = params.outHeight * params.outWidth;
  let pixels = params.images * plane;
  let firstChannel = index / pixels * ${CHANNELS}u;
  if (firstChannel >= params.channels) { return; }
  let at = index % pixels;
  let pixel = pixelOf(at);
  let row = rows[at];
  let first = at / plane * params.channels * plane + at % plane;
  #for c in 0..${CHANNELS}
  if (firstChannel + ${c}u < params.channels) {
    let logit = logitOf(pixel, firstChannel + ${c}u);
    probabilities[first + (firstChannel + ${c}u) * plane] = exponential(logit - row.x) / row.y;
  }
  #end
}
