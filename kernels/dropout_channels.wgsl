// Dropout of whole channels, and its gradient, which is the same function of the output's gradient:
//
//   output[c, p] = input[c, p] * (scale where channel c is kept, else 0)
//
// written or added to what is there; include/dropout_params says what is kept; a channel is one of one image. input, output
// [count, plane]. Grid: `parts` invocations a channel, 64 a workgroup, folded into rows; each takes RUN elements, every
// `parts`-th one, because a random word costs more than they do.
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
  let index = linearIndex(group, groups, local, 64u);
  let channel = index / params.parts;
  if (channel >= params.count) { return; }
  let counter = vec4<u32>(channel / 4u, params.layer, params.step, 0u);
  let word = philox(counter, vec2<u32>(params.seed, params.stream))[channel % 4u];
  let factor = select(0.0, params.scale, word >= params.threshold);
  let part = index % params.parts;
  let start = channel * params.plane;
  #for i in 0..${RUN}
  if (part + ${i}u * params.parts < params.plane) {
    let at = start + part + ${i}u * params.parts;
    var value = input[at] * factor;
    if (params.accumulate == 1u) { value += output[at]; }
    output[at] = value;
  }
  #end
}
