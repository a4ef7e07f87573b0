// Gradient of repeating a map to another size, of the coarse map:
//
//   gradCoarse[c, i, j] = sum of gradOutput[c, y, x] over the outputs whose nearest input is (i, j)
//
// written or added to what is there; 0 for an input that no output takes. Gathered from the input's side, so no atomics: the
// outputs of an input follow one another, and are added row by row. coarse [planes, inHeight, inWidth], gradOutput [planes,
// outHeight, outWidth]. A launch takes of each input's rows of outputs those firstRound to endRound.
// Grid: one invocation an input, 64 a workgroup, folded into rows.
struct Params {
  planes: u32,
  inHeight: u32,
  inWidth: u32,
  outHeight: u32,
  outWidth: u32,
  scaleY: f32,
  scaleX: f32,
  accumulate: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradCoarse: array<f32>;

#include grid
#include nearest_place

// The first output whose input is `i` or a later one; outSize where there is none.
fn firstOutput(i: u32, size: u32, outSize: u32, scale: f32) -> u32 {
  if (i >= size) { return outSize; }
  // A guess that rounding may have moved by one.
  var first = min(u32(max(f32(i) / scale - 2.0, 0.0)), outSize);
  #for step in 0..4
  if (first < outSize && nearestPlace(first, size, scale) < i) { first++; }
  #end
  return first;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  if (index >= params.planes * params.inHeight * params.inWidth) { return; }
  let row = index / params.inWidth;
  let i = row % params.inHeight;
  let j = index % params.inWidth;
  let firstY = firstOutput(i, params.inHeight, params.outHeight, params.scaleY);
  let endY = firstOutput(i + 1u, params.inHeight, params.outHeight, params.scaleY);
  let firstX = firstOutput(j, params.inWidth, params.outWidth, params.scaleX);
  let endX = firstOutput(j + 1u, params.inWidth, params.outWidth, params.scaleX);
  let start = row / params.inHeight * params.outHeight;
  var sum = 0.0;
  for (var y = firstY + params.firstRound; y < min(firstY + params.endRound, endY); y++) {
    for (var x = firstX; x < endX; x++) { sum += gradOutput[(start + y) * params.outWidth + x]; }
  }
  if (params.accumulate == 1u || params.firstRound > 0u) { sum += gradCoarse[index]; }
  gradCoarse[index] = sum;
}
