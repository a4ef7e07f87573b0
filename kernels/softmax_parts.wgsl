// First part of a softmax over long rows: for each segment of a row its maximum and the sum of exponentials above it,
//
//   partial[r, s] = (m, sum of exp(scale * logits[r, c] - m)),  m = max of scale * logits[r, c],  c in segment s
//
// A segment is every `segments`-th column, so neighbouring invocations read neighbouring columns. Online: a segment is
// read once. logits [rows, columns]; partial [rows, segments] of vec2. Grid: one invocation a partial, 64 a workgroup.
struct Params {
  rows: u32,
  columns: u32,
  segments: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec2<f32>>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows * params.segments) { return; }
  let start = (index / params.segments) * params.columns;
  var highest = -3.402823e38;
  var sum = 0.0;
  for (var column = index % params.segments; column < params.columns; column += params.segments) {
    let value = params.scale * logits[start + column];
    let higher = max(highest, value);
    sum = sum * exp(highest - higher) + exp(value - higher);
    highest = higher;
  }
  partial[index] = vec2<f32>(highest, sum);
}
