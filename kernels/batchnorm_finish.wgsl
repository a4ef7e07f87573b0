// Second part of batchnorm in training mode: from the parts of each group, with n = count elements,
//
//   mean     = sum of (part mean + part rest) * part count / n
//   variance = sum of (part deviation + part count * (part mean + part rest - mean)^2) / n
//   affine[g, c]    = (mean, weight * rstd, bias, rstd)     with rstd = 1 / sqrt(variance + epsilon)
//   runningMean[c] += momentum * (mean over groups of mean - runningMean[c])
//   runningVar[c]  += momentum * (mean over groups of variance * n / (n - 1) - runningVar[c])
//
// partial [groups, channels, parts] of vec4 (mean, rest, deviation, count); weight, bias, runningMean, runningVar: leading
// slice of the stored channels; affine [groups, channels] of vec4.
// Grid: one invocation a channel, 64 a workgroup; it walks groups and parts in order, so the result never varies: first for
// the mean, then for the variance, in blocks of BLOCK parts that are summed before they join the rest.
struct Params {
  groups: u32,
  channels: u32,
  parts: u32,
  count: u32,
  epsilon: f32,
  momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> runningMean: array<f32>;
@group(0) @binding(5) var<storage, read_write> runningVar: array<f32>;
@group(0) @binding(6) var<storage, read_write> affine: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let channel = id.x;
  if (channel >= params.channels) { return; }
  let count = f32(params.count);
  var meanSum = 0.0;
  var varianceSum = 0.0;
  for (var group = 0u; group < params.groups; group++) {
    let row = group * params.channels + channel;
    let start = row * params.parts;
    let end = start + params.parts;
    // Relative to the median of three parts, as in a run of batchnorm_statistics.
    #for i in 0..3
    let mean${i} = partial[min(start + ${i}u, end - 1u)].x;
    #end
    let median = max(min(mean0, mean1), min(max(mean0, mean1), mean2));
    let pivot = select(0.0, median, abs(median) <= 3.402823e38);
    var shift = 0.0;
    for (var first = start; first < end; first += ${BLOCK}u) {
      var block = 0.0;
      for (var at = first; at < min(first + ${BLOCK}u, end); at++) {
        let part = partial[at];
        block = fma(part.w / count, (part.x - pivot) + part.y, block);
      }
      shift += block;
    }
    let mean = pivot + shift;
    var deviation = 0.0;
    for (var first = start; first < end; first += ${BLOCK}u) {
      var block = 0.0;
      for (var at = first; at < min(first + ${BLOCK}u, end); at++) {
        let part = partial[at];
        let away = (part.x - pivot) + (part.y - shift);
        block += fma(part.w * away, away, part.z);
      }
      deviation += block;
    }
    let variance = deviation / count;
    let rstd = 1.0 / sqrt(variance + params.epsilon);
    affine[row] = vec4<f32>(mean, weight[channel] * rstd, bias[channel], rstd);
    meanSum += mean;
    varianceSum += variance;
  }
  let groups = f32(params.groups);
  let unbiased = varianceSum / groups * (count / (count - 1.0));
  // A momentum of 1 leaves nothing of what was there before.
  let kept = 1.0 - params.momentum;
  runningMean[channel] = kept * runningMean[channel] + params.momentum * (meanSum / groups);
  runningVar[channel] = kept * runningVar[channel] + params.momentum * unbiased;
}
