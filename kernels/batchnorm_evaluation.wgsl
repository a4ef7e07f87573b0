// Batchnorm in evaluation mode, the coefficients of each channel from its running statistics:
//
//   affine[c] = (mean, weight * rstd, bias, rstd)     with rstd = 1 / sqrt(runningVar + epsilon)
//
// weight, bias, runningMean, runningVar: leading slice of the stored channels; affine [channels] of vec4.
// Grid: one invocation a channel, 64 a workgroup.
struct Params {
  channels: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> runningMean: array<f32>;
@group(0) @binding(4) var<storage, read> runningVar: array<f32>;
@group(0) @binding(5) var<storage, read_write> affine: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let channel = id.x;
  if (channel >= params.channels) { return; }
  let rstd = 1.0 / sqrt(runningVar[channel] + params.epsilon);
  affine[channel] = vec4<f32>(runningMean[channel], weight[channel] * rstd, bias[channel], rstd);
}
