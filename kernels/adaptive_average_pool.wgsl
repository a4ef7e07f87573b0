// Adaptive average pooling along one axis, which two launches make that of maps: output o is the mean of the inputs
//
//   floor(o * size / outSize) <= i < ceil((o + 1) * size / outSize)
//
// windows that may overlap. The gradient's sum has the same form, because input i lies in the windows of the outputs
// floor(i * outSize / size) <= o < ceil((i + 1) * outSize / size); so one kernel serves both:
//
//   results[p, a, q]  = (sum of values[p, b, q] over the window of a) / length of the window of a
//   results[p, a, q] += sum over the window of a of values[p, b, q] / length of the window of b           with GRADIENT
//
// the gradient written, or added to what is there. values [outer, valueSize, inner], results [outer, resultSize, inner]. A launch takes
// of each window the elements firstRound to endRound, in their order, and the last one divides.
// Grid: one invocation an element of `results`, 64 a workgroup, folded into rows. Axis by axis, no loop is longer than a side.
struct Params {
  outer: u32,
  valueSize: u32,
  resultSize: u32,
  inner: u32,
  accumulate: u32,
  rounds: u32, // of the longest window
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> results: array<f32>;

#include grid

fn windowStart(at: u32, size: u32, other: u32) -> u32 {
  return at * other / size;
}

fn windowEnd(at: u32, size: u32, other: u32) -> u32 {
  return ((at + 1u) * other + size - 1u) / size;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.outer * params.resultSize * params.inner) { return; }
  let row = index / params.inner;
  let a = row % params.resultSize;
  let first = windowStart(a, params.resultSize, params.valueSize);
  let end = windowEnd(a, params.resultSize, params.valueSize);
  let start = row / params.resultSize * params.valueSize * params.inner + index % params.inner;
  var sum = 0.0;
  if (params.firstRound > 0u) { sum = results[index]; }
  for (var b = first + params.firstRound; b < min(first + params.endRound, end); b++) {
    #if GRADIENT
    let length = windowEnd(b, params.valueSize, params.resultSize) - windowStart(b, params.valueSize, params.resultSize);
    sum += values[start + b * params.inner] / f32(length);
    #else
    sum += values[start + b * params.inner];
    #end
  }
  #if GRADIENT
  if (params.accumulate == 1u && params.firstRound == 0u) { sum += results[index]; }
  #else
  if (params.endRound >= params.rounds) { sum /= f32(end - first); }
  #end
  results[index] = sum;
}
