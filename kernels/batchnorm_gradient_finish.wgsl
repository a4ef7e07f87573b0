// Second part of batchnorm's gradient: with the sums s = sum of g and p = sum of g * (x - mean) of each group,
//
//   gradBias[c]   += sum over groups of s            gradWeight[c] += sum over groups of p * rstd
//   backward[g, c] = (mean, weight * rstd, s / n, p * rstd^2 / n)      in training mode
//   backward[g, c] = (mean, weight * rstd, 0, 0)                       in evaluation mode
//
// partial [groups, channels, parts] of vec2; affine, backward [groups, channels] of vec4; gradients: leading slice.
// Grid: one invocation a channel, 64 a workgroup; it walks groups and parts in order, in blocks of BLOCK parts that are summed
// before they join the rest.
struct Params {
  groups: u32,
  channels: u32,
  parts: u32,
  count: u32,
  training: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> affine: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gradWeight: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradBias: array<f32>;
@group(0) @binding(5) var<storage, read_write> backward: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let channel = id.x;
  if (channel >= params.channels) { return; }
  var bias = 0.0;
  var weight = 0.0;
  for (var group = 0u; group < params.groups; group++) {
    let row = group * params.channels + channel;
    let forward = affine[row];
    var sum = vec2<f32>();
    let end = (row + 1u) * params.parts;
    for (var first = row * params.parts; first < end; first += ${BLOCK}u) {
      var block = vec2<f32>();
      for (var at = first; at < min(first + ${BLOCK}u, end); at++) { block += partial[at]; }
      sum += block;
    }
    bias += sum.x;
    weight += sum.y * forward.w;
    let means = select(vec2<f32>(), sum * vec2<f32>(1.0, forward.w * forward.w) / f32(params.count), params.training == 1u);
    backward[row] = vec4<f32>(forward.x, forward.y, means);
  }
  gradBias[channel] += bias;
  gradWeight[channel] += weight;
}
