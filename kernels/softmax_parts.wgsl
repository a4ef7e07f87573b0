// First part of a softmax over long rows: for each segment of a row its maximum and the sum of exponentials above it,
//
//   partial[r, s] = (m, sum of exp(scale * logits[r, c] - m)),  m = max of scale * logits[r, c],  c in segment s
//
// With LABELS, without the column c = labels[r].
//
// A segment is every `segments`-th column, so neighbouring invocations read neighbouring columns. Online: a segment is
// read once. logits [rows, columns]; labels [rows]; partial [rows, segments] of vec2.
// Grid: one invocation a partial, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  columns: u32,
  segments: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec2<f32>>;
#if LABELS
@group(0) @binding(3) var<storage, read> labels: array<u32>;
#end

#include grid
#include exponential

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows * params.segments) { return; }
  let row = index / params.segments;
  let start = row * params.columns;
  #if LABELS
  let label = labels[row];
  #end
  var highest = -3.402823e38;
  // Of the terms since the last multiple of 256, and of those before: no sum of many thousands grows in one number.
  var block = 0.0;
  var sum = 0.0;
  var terms = 0u;
  for (var column = index % params.segments; column < params.columns; column += params.segments) {
    #if LABELS
    if (column == label) { continue; }
    #end
    let value = params.scale * logits[start + column];
    if (value > highest) {
      let factor = exponential(highest - value);
      block *= factor;
      sum *= factor;
      highest = value;
    }
    block += exponential(value - highest);
    terms++;
    if (terms % 256u == 0u) {
      sum += block;
      block = 0.0;
    }
  }
  partial[index] = vec2<f32>(highest, sum + block);
}
