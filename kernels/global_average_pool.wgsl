// Global average pooling: output[r] = mean over p of input[r, p], a row being one channel of one image.
//
// input [rows, plane], output [rows]. The sum is taken in blocks of BLOCK positions, each added up in order before it joins
// the rest; a launch does the blocks firstRound to endRound, continues from `output`, and divides after the last.
// Grid: one invocation a row, 64 a workgroup, folded into rows.
struct Params {
  rows: u32,
  plane: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.rows) { return; }
  var sum = 0.0;
  if (params.firstRound > 0u) { sum = output[index]; }
  let end = (index + 1u) * params.plane;
  for (var round = params.firstRound; round < params.endRound; round++) {
    let first = index * params.plane + round * ${BLOCK}u;
    var block = 0.0;
    for (var at = first; at < min(first + ${BLOCK}u, end); at++) { block += input[at]; }
    sum += block;
  }
  output[index] = select(sum, sum / f32(params.plane), params.endRound * ${BLOCK}u >= params.plane);
}
