// Dropout of elements, and its gradient, which is the same function of the output's gradient:
//
//   output[e] = input[e] * (scale where element e is kept, else 0)
//
// written or added to what is there; include/dropout_params says what is kept. A product also where it is 0, so that NaN stays
// NaN, as in PyTorch. Grid: one invocation for four elements, which share a block of random words, 64 a workgroup, folded
// into rows.
#include dropout_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

#include grid
#include philox

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let block = linearIndex(group, groups, local, 64u);
  if (4u * block >= params.count) { return; }
  let words = philox(vec4<u32>(block, params.layer, params.step, 0u), vec2<u32>(params.seed, params.stream));
  #for i in 0..4
  if (4u * block + ${i}u < params.count) {
    var value = input[4u * block + ${i}u] * select(0.0, params.scale, words[${i}] >= params.threshold);
    if (params.accumulate == 1u) { value += output[4u * block + ${i}u]; }
    output[4u * block + ${i}u] = value;
  }
  #end
}
