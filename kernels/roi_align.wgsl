// RoIAlign (He et al. 2017): the mean of bilinear samples in each bin of a region. A bin's samples form a grid, so its mean is
// a product of two sparse rows of weights, one for each axis, which the host has made:
//
//   output[r, c, p, q] = sum over y, x of rowWeights[r, p, y] columnWeights[r, q, x] input[image(r), c, y, x]
//
// So the turns of the loops are the pixels that a bin touches, however many samples it takes.
//
// input [images, channels, height, width]; output [more regions, channels, bins, bins].
// table: for each of `regions`, from word `base` on, 2 (bins + 2) words: image, place in output, where each bin's rows begin
// and where the last one's end, the same for its columns. These are words of the table, too, where pairs (pixel, weight) lie.
//
// Grid: one invocation for a bin and 4 channels, which share the weights; 64 a workgroup, folded into rows. A launch takes
// the rows firstRound to endRound of each bin, and adds to those of the launch before.
struct Params {
  channels: u32,
  height: u32,
  width: u32,
  regions: u32,
  bins: u32,
  base: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  let quads = (params.channels + 3u) / 4u;
  let plane = params.bins * params.bins;
  if (index >= params.regions * quads * plane) { return; }
  let bin = index % plane;
  let channel = index / plane % quads * 4u;
  let region = params.base + index / (plane * quads) * 2u * (params.bins + 2u);
  let rowsAt = region + 2u + bin / params.bins;
  let columnsAt = region + 3u + params.bins + bin % params.bins;
  let size = params.height * params.width;
  // Channels past the end read the last one and store nothing.
  let last = params.channels - 1u;
  let image = table[region] * params.channels;
  #for c in 0..4
  let plane${c} = (image + min(channel + ${c}u, last)) * size;
  var sum${c} = 0.0;
  #end

  let firstRow = table[rowsAt];
  let endRow = min(table[rowsAt + 1u], firstRow + 2u * params.endRound);
  let firstColumn = table[columnsAt];
  let endColumn = table[columnsAt + 1u];
  for (var row = firstRow + 2u * params.firstRound; row < endRow; row += 2u) {
    let rowStart = table[row] * params.width;
    let rowWeight = bitcast<f32>(table[row + 1u]);
    for (var column = firstColumn; column < endColumn; column += 2u) {
      let at = rowStart + table[column];
      let weight = rowWeight * bitcast<f32>(table[column + 1u]);
      #for c in 0..4
      sum${c} += weight * input[plane${c} + at];
      #end
    }
  }

  let to = (table[region + 1u] * params.channels + channel) * plane + bin;
  #for c in 0..4
  if (channel + ${c}u <= last) {
    if (params.firstRound > 0u) { sum${c} += output[to + ${c}u * plane]; }
    output[to + ${c}u * plane] = sum${c};
  }
  #end
}
