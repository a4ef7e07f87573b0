// Products of channels over the positions of each image: what the rows of two self-affinities need, without the affinities
// (see affinity_rows).
//
//   products[g, d, c] = sum over s of left[g, d, s] * right[g, c, s]
//
// left [groups, leftChannels, samples], right [groups, rightChannels, samples], all padded to multiples of 8.
// A launch does the rounds firstRound to endRound of the sum, four positions each, and adds to those of the launch before.
// Grid: one invocation an 8 x 8 tile, WORKGROUP a workgroup, folded into rows. Rows are the summed dimension, so four
// positions are one load on both sides.
struct Params {
  groups: u32,
  leftChannels: u32,
  rightChannels: u32,
  samples: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> right: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> products: array<vec4<f32>>;

#include grid

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(workgroup, workgroups, local, ${WORKGROUP}u);
  let rightBlocks = params.rightChannels / 8u;
  let leftBlocks = params.leftChannels / 8u;
  let c = index % rightBlocks;
  let d = (index / rightBlocks) % leftBlocks;
  let group = index / rightBlocks / leftBlocks;
  if (group >= params.groups) { return; }

  let quads = params.samples / 4u;
  let leftStart = (group * params.leftChannels + 8u * d) * quads;
  let rightStart = (group * params.rightChannels + 8u * c) * quads;
  let row = params.rightChannels / 4u;
  let to = (group * params.leftChannels + 8u * d) * row + 2u * c;
  #for b in 0..8
  var sum${b}_0 = vec4<f32>();
  var sum${b}_1 = vec4<f32>();
  #end
  if (params.firstRound > 0u) {
    #for b in 0..8
    sum${b}_0 = products[to + ${b}u * row];
    sum${b}_1 = products[to + ${b}u * row + 1u];
    #end
  }
  for (var k = params.firstRound; k < params.endRound; k++) {
    #for a in 0..8
    let right${a} = right[rightStart + ${a}u * quads + k];
    #end
    #for b in 0..8
    let left${b} = left[leftStart + ${b}u * quads + k];
    sum${b}_0 += vec4<f32>(dot(left${b}, right0), dot(left${b}, right1), dot(left${b}, right2), dot(left${b}, right3));
    sum${b}_1 += vec4<f32>(dot(left${b}, right4), dot(left${b}, right5), dot(left${b}, right6), dot(left${b}, right7));
    #end
  }
  #for b in 0..8
  products[to + ${b}u * row] = sum${b}_0;
  products[to + ${b}u * row + 1u] = sum${b}_1;
  #end
}
