// Stochastic gradient descent with momentum and weight decay (as torch.optim.SGD, dampening 0, no Nesterov):
//
//   momentum = momentumFactor * momentum + gradient + weightDecay * value
//   value    = value - learningRate * momentum
//
// over many parameters of an arena at once, zeros between parameters included. With SCALED the gradient is multiplied by
// scale[0] first.
// Grid: one invocation four elements, 64 a workgroup, folded into rows.
struct Params {
  quads: u32,
  learningRate: f32,
  momentumFactor: f32,
  weightDecay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> value: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> momentum: array<vec4<f32>>;
#if SCALED
@group(0) @binding(4) var<storage, read> scale: array<f32>;
#end

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.quads) { return; }
  let weight = value[index];
  // Without decay, what is infinite decays by nothing, not by NaN.
  let decay = select(params.weightDecay * weight, vec4<f32>(), params.weightDecay == 0.0);
  let velocity = params.momentumFactor * momentum[index] + (${SCALED ? "scale[0] * " : ""}gradient[index] + decay);
  momentum[index] = velocity;
  value[index] = weight - params.learningRate * velocity;
}
