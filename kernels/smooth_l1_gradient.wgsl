// Gradient of the smooth L1 loss: with d = input - target,
//
//   gradInput[i] = gradLoss * factor * weights[i] * clamp(d / beta, -1, 1)          for beta = 0 the sign of d, 0 of 0
//
// and, as in PyTorch, NaN of NaN, but 0 for beta = 0; written or added to what is there, as include/loss_params says.
// Grid: one invocation an element, 64 a workgroup, folded into rows.
#include loss_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> goal: array<f32>;
#if WEIGHTS
@group(0) @binding(3) var<storage, read> weights: array<f32>;
#end
@group(0) @binding(4) var<storage, read> gradLoss: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradInput: array<f32>;

#include grid
#include not_a_number

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.count) { return; }
  let d = input[index] - goal[index];
  var gradient = sign(d);
  if (abs(d) < params.beta) { gradient = d / params.beta; }
  if (isNotANumber(d)) { gradient = select(d, 0.0, params.beta == 0.0); }
  #if WEIGHTS
  gradient = select(gradient * weights[index], 0.0, weights[index] == 0.0);
  #end
  gradient *= gradLoss[0] * params.factor;
  if (params.accumulate == 1u) { gradient += gradInput[index]; }
  gradInput[index] = gradient;
}
