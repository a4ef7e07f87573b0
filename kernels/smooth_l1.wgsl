// Smooth L1 loss of a difference d = input - target (Girshick 2015, Fast R-CNN, with a width beta):
//
//   losses[i] = factor * weights[i] * (d * d / (2 * beta))        where |d| < beta
//   losses[i] = factor * weights[i] * (|d| - beta / 2)            elsewhere, everywhere for beta = 0
//
// as include/loss_params says. Grid: one invocation an element, 64 a workgroup, folded into rows.
#include loss_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> goal: array<f32>;
#if WEIGHTS
@group(0) @binding(3) var<storage, read> weights: array<f32>;
#end
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.count) { return; }
  let d = abs(input[index] - goal[index]);
  var loss = d - 0.5 * params.beta;
  if (d < params.beta) { loss = 0.5 * d * d / params.beta; }
  #if WEIGHTS
  loss = select(loss * weights[index], 0.0, weights[index] == 0.0);
  #end
  losses[index] = params.factor * loss;
}
