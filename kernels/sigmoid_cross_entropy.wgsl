// Cross-entropy of a probability that is the sigmoid of a logit z, with a target y from 0 to 1:
//
//   losses[i] = factor * weights[i] * ((1 - y) * z + max(-z, 0) + log(1 + exp(-|z|)))
//
// as include/loss_params says. No exponential overflows, and of the terms none cancels another where the loss is small.
// Grid: one invocation an element, 64 a workgroup, folded into rows.
#include loss_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> goal: array<f32>;
#if WEIGHTS
@group(0) @binding(3) var<storage, read> weights: array<f32>;
#end
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;

#include grid
#include exponential

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.count) { return; }
  let z = input[index];
  var loss = (1.0 - goal[index]) * z + max(-z, 0.0) + logOnePlus(exponential(-abs(z)));
  #if WEIGHTS
  loss = select(loss * weights[index], 0.0, weights[index] == 0.0);
  #end
  losses[index] = params.factor * loss;
}
