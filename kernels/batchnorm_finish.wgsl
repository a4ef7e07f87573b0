// Second part of batchnorm in training mode: from the partial sums of each group,
//
//   mean = pivot + sum / n            variance = squares / n - (sum / n)^2
//   affine[g, c]    = (mean, weight * rstd, bias, rstd)     with rstd = 1 / sqrt(variance + epsilon)
//   runningMean[c] += momentum * (mean over groups of mean - runningMean[c])
//   runningVar[c]  += momentum * (mean over groups of variance * n / (n - 1) - runningVar[c])
//
// partial [groups, channels, parts] of vec2; input as in batchnorm_statistics (only the pivots are read); weight, bias,
// runningMean, runningVar: leading slice of the stored channels; affine [groups, channels] of vec4.
// Grid: one invocation a channel, 64 a workgroup; it walks groups and parts in order, so the result never varies.
struct Params {
  images: u32,
  groups: u32,
  channels: u32,
  plane: u32,
  parts: u32,
  epsilon: f32,
  momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> runningMean: array<f32>;
@group(0) @binding(6) var<storage, read_write> runningVar: array<f32>;
@group(0) @binding(7) var<storage, read_write> affine: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let channel = id.x;
  if (channel >= params.channels) { return; }
  let count = f32(params.images * params.plane);
  var meanSum = 0.0;
  var varianceSum = 0.0;
  for (var group = 0u; group < params.groups; group++) {
    let row = group * params.channels + channel;
    var sum = vec2<f32>();
    for (var part = 0u; part < params.parts; part++) { sum += partial[row * params.parts + part]; }
    let shift = sum.x / count;
    let mean = input[(group * params.images * params.channels + channel) * params.plane] + shift;
    let variance = max(sum.y / count - shift * shift, 0.0);
    let rstd = 1.0 / sqrt(variance + params.epsilon);
    affine[row] = vec4<f32>(mean, weight[channel] * rstd, bias[channel], rstd);
    meanSum += mean;
    varianceSum += variance;
  }
  let groups = f32(params.groups);
  let unbiased = varianceSum / groups * (count / max(count - 1.0, 1.0));
  // A momentum of 1 leaves nothing of what was there before.
  let kept = 1.0 - params.momentum;
  runningMean[channel] = kept * runningMean[channel] + params.momentum * (meanSum / groups);
  runningVar[channel] = kept * runningVar[channel] + params.momentum * unbiased;
}
