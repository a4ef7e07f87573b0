// Gradient of linear interpolation along one axis, which two launches make that of bilinear interpolation:
//
//   gradInput[p, i, q] = sum over the outputs o that read input i of weight(o, i) * gradOutput[p, o, q]
//
// written or added to what is there; places and weights of include/linear_places. Gathered from the input's side, so no
// atomics, and outputs are added in their order: those of an input follow one another.
//
// gradOutput [outer, outSize, inner], gradInput [outer, size, inner]. A launch takes each input's outputs firstRound to
// endRound. Grid: one invocation an element of gradInput, 64 a workgroup, folded into rows. Axis by axis, an input of a map
// that was enlarged s times takes 4 s terms, not 4 s * s.
struct Params {
  outer: u32,
  size: u32,
  outSize: u32,
  inner: u32,
  step: i32,
  offset: i32,
  unit: i32,
  accumulate: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradInput: array<f32>;

#include grid
#include linear_places

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.outer * params.size * params.inner) { return; }
  let row = index / params.inner;
  let i = row % params.size;
  let first = firstReader(i, params.outSize, params.step, params.offset, params.unit);
  let end = endReader(i, params.outSize, params.step, params.offset, params.unit);
  let start = row / params.size * params.outSize * params.inner + index % params.inner;
  var sum = 0.0;
  for (var o = first + params.firstRound; o < min(first + params.endRound, end); o++) {
    let value = gradOutput[start + o * params.inner];
    sum += linearTerm(value, o, i, params.size, params.step, params.offset, params.unit);
  }
  if (params.accumulate == 1u || params.firstRound > 0u) { sum += gradInput[index]; }
  gradInput[index] = sum;
}
