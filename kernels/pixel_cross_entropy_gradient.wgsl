// Gradient of the mean cross-entropy of pixels (pixel_cross_entropy): with (shift, rest) = rows[p],
//
//   g[c, p] = gradLoss * factor * exp(logit[c] - shift) / (1 + rest)
//   g[c, p] = gradLoss * factor * -((1 - own) + rest) / (1 + rest)       for c = labels[p], own = exp(logit[c] - shift)
//   g[c, p] = 0 times the first                                          for an ignored label
//
// The second is the first minus gradLoss * factor, without the loss of digits where the label is nearly certain: own is 1
// there, and `rest` the others' sum. gradLogits is g, written or added to what is there; with UPSAMPLE, where g would be as
// large as the logits that must not exist, the half of the interpolation's gradient that runs along rows,
//
//   gradLogits[n, c, y, j] = sum over x of weight(x, j) * g[n, c, y, x]
//
// and bilinear_gradient does the columns. An element's pixels lie between columns j - 1 and j + 1 of the logits, which are
// interpolated between rows once; then a pixel costs three loads, and is read by two elements.
//
// gradLogits [images, channels, outHeight, inWidth]; factor, gradLoss [1]. A launch takes each element's pixels firstRound
// to endRound. Grid: one invocation an element of gradLogits, 64 a workgroup, folded into rows.
#include pixel_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> factor: array<f32>;
@group(0) @binding(5) var<storage, read> gradLoss: array<f32>;
@group(0) @binding(6) var<storage, read_write> gradLogits: array<f32>;

#include grid
#include exponential
#if UPSAMPLE
#include linear_places
#end

fn pixelGradient(pixel: u32, channel: u32, logit: f32) -> f32 {
  let row = rows[pixel];
  let label = labels[pixel];
  let own = exponential(logit - row.x);
  let part = select(own, -((1.0 - own) + row.y), label == channel);
  // As a product with whole numbers, which no compiler leaves out: 0 times NaN is NaN.
  return f32(min(label ^ params.ignored, 1u)) * (part / (1.0 + row.y));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.images * params.channels * params.outHeight * params.inWidth) { return; }
  let row = index / params.inWidth;
  let j = index % params.inWidth;
  let y = row % params.outHeight;
  let map = row / params.outHeight;
  let channel = map % params.channels;
  let firstPixel = (map / params.channels * params.outHeight + y) * params.outWidth;
  let scale = gradLoss[0] * factor[0];
  #if UPSAMPLE
  let place = linearPlace(y, params.inHeight, params.stepY, params.offsetY, params.unitY);
  let low = (map * params.inHeight + place.low) * params.inWidth;
  let high = (map * params.inHeight + place.high) * params.inWidth;
  let before = max(j, 1u) - 1u;
  let after = select(min(j + 1u, params.inWidth - 1u), j, params.stepX == params.unitX);
  let logitBefore = place.lowWeight * logits[low + before] + place.highWeight * logits[high + before];
  let logitHere = place.lowWeight * logits[low + j] + place.highWeight * logits[high + j];
  let logitAfter = place.lowWeight * logits[low + after] + place.highWeight * logits[high + after];
  let first = firstReader(j, params.outWidth, params.stepX, params.offsetX, params.unitX);
  let end = endReader(j, params.outWidth, params.stepX, params.offsetX, params.unitX);
  var sum = 0.0;
  for (var x = first + params.firstRound; x < min(first + params.endRound, end); x++) {
    // Of the two columns beside the pixel, the left one's distance.
    let position = max(i32(x) * params.stepX + params.offsetX, 0) - i32(j) * params.unitX;
    let isLeft = position >= 0;
    let rest = select(position + params.unitX, position, isLeft);
    let left = select(logitBefore, logitHere, isLeft);
    let right = select(logitHere, logitAfter, isLeft);
    let logit = f32(params.unitX - rest) / f32(params.unitX) * left + f32(rest) / f32(params.unitX) * right;
    let value = pixelGradient(firstPixel + x, channel, logit);
    sum += linearTerm(value, x, j, params.inWidth, params.stepX, params.offsetX, params.unitX);
  }
  sum *= scale;
  if (params.firstRound > 0u) { sum += gradLogits[index]; }
  #else
  var sum = scale * pixelGradient(firstPixel + j, channel, logits[index]);
  if (params.accumulate == 1u) { sum += gradLogits[index]; }
  #end
  gradLogits[index] = sum;
}
