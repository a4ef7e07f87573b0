// Gradient of max-pooling: each output's gradient goes to the place of its window's maximum,
//
//   gradInput[c, y, x] = sum of gradOutput[c, p] over the windows p with places[c, p] = (c, y, x)
//
// Gathered from the input's side, so no atomics: an input looks at the few windows that cover it. Written, or added to
// what is there.
//
// places [planes, outHeight, outWidth] (max_pool_places), gradOutput alike; gradInput [planes, inHeight, inWidth]. A launch
// looks at the rows of windows firstRound to endRound, of those that cover the input.
// Grid: one invocation an input element, 64 a workgroup, folded into rows.
#include pool_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> places: array<u32>;
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
  let start = (row / params.inHeight) * params.outHeight;

  // Windows p cover y when p * stride - padding <= y < p * stride - padding + window.
  let lastY = min((y + params.padding) / params.stride, i32(params.outHeight) - 1);
  let lastX = min((x + params.padding) / params.stride, i32(params.outWidth) - 1);
  let firstY = max(y + params.padding - params.window + params.stride, 0) / params.stride;
  let firstX = max(x + params.padding - params.window + params.stride, 0) / params.stride;

  var sum = 0.0;
  let endY = min(firstY + i32(params.endRound), lastY + 1);
  for (var windowY = firstY + i32(params.firstRound); windowY < endY; windowY++) {
    for (var windowX = firstX; windowX <= lastX; windowX++) {
      let window = (start + u32(windowY)) * params.outWidth + u32(windowX);
      if (places[window] == index) { sum += gradOutput[window]; }
    }
  }
  if (params.accumulate == 1u || params.firstRound > 0u) { sum += gradInput[index]; }
  gradInput[index] = sum;
}
