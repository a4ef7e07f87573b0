// Gradient of RoIAlign, the adjoint of roi_align.wgsl:
//
//   gradInput[n, c, y, x] = sum over regions r of image n, bins p, q of
//                           rowWeights[r, p, y] columnWeights[r, q, x] gradOutput[r, c, p, q]
//
// written, or added to what is there. Gathered from the pixels' side, so no atomics: the host lists for every BLOCK pixels of
// a row which rows of bins touch them, by region and bin, and a pixel walks its list in that order. What does not touch the
// pixel itself costs it three loads; what does, as many products as bins of that row touch it, 1 to 4 for a region of the
// common size. So all of it costs about what the forward pass does, spread unevenly: a pixel under all regions walks them all.
//
// gradOutput [regions, channels, bins, bins]; gradInput [images, channels, height, width].
// table: from word `base` on, for each image, row and block, where its list begins, and where the last one ends. A list has 4
// words for each row of bins: place of the region in gradOutput, row p, weight, and where the region's columns are: first
// pixel, number of pixels, where each pixel's pairs (bin q, weight) begin and the last one's end.
//
// Grid: x = blocks of a row, y = rows, z = images x tiles of 16 channels. A workgroup has 16 columns and 4 times 4 channels:
// its list is the same for all, and 4 channels share its weights. A launch takes the entries firstRound to endRound of each
// list.
struct Params {
  channels: u32,
  height: u32,
  width: u32,
  bins: u32,
  base: u32,
  accumulate: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradInput: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let tiles = (params.channels + 15u) / 16u;
  let image = group.z / tiles;
  let channel = group.z % tiles * 16u + local / ${BLOCK}u * 4u;
  let x = group.x * ${BLOCK}u + local % ${BLOCK}u;
  if (x >= params.width || channel >= params.channels) { return; }
  let plane = params.bins * params.bins;
  // Channels past the end read the last one and store nothing.
  let last = params.channels - 1u;
  #for c in 0..4
  let offset${c} = min(channel + ${c}u, last) * plane;
  var sum${c} = 0.0;
  #end

  let list = params.base + (image * params.height + group.y) * groups.x + group.x;
  let start = table[list];
  let end = min(table[list + 1u], start + 4u * params.endRound);
  for (var entry = start + 4u * params.firstRound; entry < end; entry += 4u) {
    let columns = table[entry + 3u];
    let column = x - table[columns];
    // Also where x lies before the first pixel: the difference wraps around.
    if (column >= table[columns + 1u]) { continue; }
    let source = table[entry] * params.channels * plane + table[entry + 1u] * params.bins;
    let rowWeight = bitcast<f32>(table[entry + 2u]);
    let endBin = table[columns + column + 3u];
    for (var bin = table[columns + column + 2u]; bin < endBin; bin += 2u) {
      let at = source + table[bin];
      let weight = rowWeight * bitcast<f32>(table[bin + 1u]);
      #for c in 0..4
      sum${c} += weight * gradOutput[at + offset${c}];
      #end
    }
  }

  let size = params.height * params.width;
  let to = (image * params.channels + channel) * size + group.y * params.width + x;
  #for c in 0..4
  if (channel + ${c}u <= last) {
    if (params.accumulate == 1u || params.firstRound > 0u) { sum${c} += gradInput[to + ${c}u * size]; }
    gradInput[to + ${c}u * size] = sum${c};
  }
  #end
}
