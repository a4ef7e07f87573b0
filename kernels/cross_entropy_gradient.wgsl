// Gradient of the mean softmax cross-entropy: with (shift, others) = rows[r], own = exp(logits[r, labels[r]] - shift),
//
//   gradLogits[r, c] = gradLoss * factor * exp(logits[r, c] - shift) / (own + others)     factor = 1 / rows
//   gradLogits[r, c] = gradLoss * factor * -others / (own + others)                       for c = labels[r]
//
// written or added to what is there. The second is the first minus gradLoss * factor, without the loss of digits where
// the label is nearly certain. logits, gradLogits [rows, columns]; rows [rows] of vec2; gradLoss [1].
// Grid: one invocation an element, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  columns: u32,
  factor: f32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> gradLoss: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradLogits: array<f32>;

#include grid
#include exponential

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows * params.columns) { return; }
  let row = index / params.columns;
  let label = labels[row];
  let shift = rows[row].x;
  let others = rows[row].y;
  let total = exponential(logits[row * params.columns + label] - shift) + others;
  let part = select(exponential(logits[index] - shift), -others, index % params.columns == label);
  var value = gradLoss[0] * params.factor * (part / total);
  if (params.accumulate == 1u) { value += gradLogits[index]; }
  gradLogits[index] = value;
}
