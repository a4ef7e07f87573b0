// Gradient of max-pooling. Each output's gradient goes to the first position, in row order, that holds the maximum:
//
//   gradInput[c, y, x] = sum of gradOutput[c, p] over the windows p whose first maximum is (y, x)
//
// Gathered from the input's side, so no atomics: an input looks at the few windows that cover it, and in each whether an
// earlier position ties or any position beats it. Written, or added to what is there.
//
// Shapes as in max_pool. Grid: one invocation an input element, 64 a workgroup, folded into rows.
#include pool_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradInput: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.planes * params.inHeight * params.inWidth) { return; }
  let row = index / params.inWidth;
  let x = i32(index % params.inWidth);
  let y = i32(row % params.inHeight);
  let plane = row / params.inHeight;
  let start = plane * params.inHeight * params.inWidth;
  let value = input[index];
  let inHeight = i32(params.inHeight);
  let inWidth = i32(params.inWidth);

  // Windows p cover y when p * stride - padding <= y < p * stride - padding + window.
  let lastY = min((y + params.padding) / params.stride, i32(params.outHeight) - 1);
  let lastX = min((x + params.padding) / params.stride, i32(params.outWidth) - 1);
  let firstY = max(y + params.padding - params.window + params.stride, 0) / params.stride;
  let firstX = max(x + params.padding - params.window + params.stride, 0) / params.stride;

  var sum = 0.0;
  for (var windowY = firstY; windowY <= lastY; windowY++) {
    for (var windowX = firstX; windowX <= lastX; windowX++) {
      let top = windowY * params.stride - params.padding;
      let left = windowX * params.stride - params.padding;
      var wins = true;
      for (var otherY = max(top, 0); otherY < min(top + params.window, inHeight); otherY++) {
        for (var otherX = max(left, 0); otherX < min(left + params.window, inWidth); otherX++) {
          let other = input[start + u32(otherY * inWidth + otherX)];
          let earlier = otherY < y || (otherY == y && otherX < x);
          if (other > value || (earlier && other == value)) { wins = false; }
        }
      }
      if (wins) { sum += gradOutput[(plane * params.outHeight + u32(windowY)) * params.outWidth + u32(windowX)]; }
    }
  }
  if (params.accumulate == 1u) { sum += gradInput[index]; }
  gradInput[index] = sum;
}
