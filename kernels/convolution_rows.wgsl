// 3x3 convolution with stride 1 and padding 1 (and the gradient of its input, which is one, too):
//
//   output[n, o, y, x] = sum over i, tapY, tapX of weight[o, i, tapY, tapX] * input[n, i, y + tapY - 1, x + tapX - 1]
//
// Bindings and parameters as in convolution.wgsl; the width must be a multiple of PIXELS.
//
// Grid: x = tiles of TILE channels; y = blocks of PIXELS consecutive positions of a row, 64 a workgroup.
//
// The three taps of a row read the same PIXELS + 2 inputs, so a row is loaded once, as vec4, and shifted in registers:
// a third of the loads of the general kernel. Rows outside the image are read clamped and counted as zero, because all
// lanes have to stay active for the broadcasts.
#include convolution_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rowBlocks = params.outWidth / ${PIXELS}u;
  let rows = params.images * params.outHeight;
  let rowPixels = params.inWidth / 4u;
  let plane = params.inHeight * rowPixels;
  let index = group.y * 64u + local;
  let row = min(index / rowBlocks, rows - 1u);
  let inside = index < rows * rowBlocks;
  let block = index % rowBlocks;
  let image = row / params.outHeight;
  let y = row % params.outHeight;
  let x = block * ${PIXELS / 4}u;
  let firstChannel = group.x * ${TILE}u;
  let lastChannel = params.outChannels - 1u;

  let hasLeft = block > 0u;
  let hasRight = block + 1u < rowBlocks;
  let left = select(0u, 1u, hasLeft);
  let right = select(0u, ${PIXELS / 4}u, hasRight);

  #if SUBGROUP
  #for b in 0..${TILE / 8}
  let weightRow${b} = i32(min(firstChannel + ${8 * b}u + local % 8u, lastChannel)) * params.weightOut;
  #end
  #else
  #for o in 0..${TILE}
  let weightRow${o} = i32(min(firstChannel + ${o}u, lastChannel)) * params.weightOut;
  #end
  #end

  #for o in 0..${TILE}
  #for q in 0..${PIXELS / 4}
  var sum${o}_${q} = vec4<f32>();
  #end
  #end

  for (var tapY = 0u; tapY < 3u; tapY++) {
    let wanted = i32(y + tapY) - 1;
    let inRow = clamp(wanted, 0, i32(params.inHeight) - 1);
    let rowFactor = select(0.0, 1.0, wanted == inRow);
    let leftFactor = select(0.0, rowFactor, hasLeft);
    let rightFactor = select(0.0, rowFactor, hasRight);
    var at = (params.inBase + image * params.inImage) / 4u + u32(inRow) * rowPixels + x;
    var tap = params.weightBase + i32(tapY) * params.weightTapY;

    for (var i = 0u; i < params.inChannels; i++) {
      #for q in 0..${PIXELS / 4}
      let in${q} = input[at + ${q}u] * rowFactor;
      #end
      let before = input[at - left].w * leftFactor;
      let after = input[at + right].x * rightFactor;
      #for q in 0..${PIXELS / 4}
      let west${q} = vec4<f32>(${q === 0 ? "before" : "in" + (q - 1) + ".w"}, in${q}.xyz);
      let east${q} = vec4<f32>(in${q}.yzw, ${q === PIXELS / 4 - 1 ? "after" : "in" + (q + 1) + ".x"});
      #end
      at += plane;
      #if SUBGROUP
      #for b in 0..${TILE / 8}
      let lanesWest${b} = weight[u32(tap + weightRow${b})];
      let lanesMiddle${b} = weight[u32(tap + weightRow${b} + params.weightTapX)];
      let lanesEast${b} = weight[u32(tap + weightRow${b} + 2 * params.weightTapX)];
      #end
      #end
      #for o in 0..${TILE}
      #if SUBGROUP
      let west_${o} = subgroupBroadcast(lanesWest${o >> 3}, ${o & 7}u);
      let middle_${o} = subgroupBroadcast(lanesMiddle${o >> 3}, ${o & 7}u);
      let east_${o} = subgroupBroadcast(lanesEast${o >> 3}, ${o & 7}u);
      #else
      let west_${o} = weight[u32(tap + weightRow${o})];
      let middle_${o} = weight[u32(tap + weightRow${o} + params.weightTapX)];
      let east_${o} = weight[u32(tap + weightRow${o} + 2 * params.weightTapX)];
      #end
      #for q in 0..${PIXELS / 4}
      sum${o}_${q} = fma(vec4<f32>(west_${o}), west${q}, sum${o}_${q});
      sum${o}_${q} = fma(vec4<f32>(middle_${o}), in${q}, sum${o}_${q});
      sum${o}_${q} = fma(vec4<f32>(east_${o}), east${q}, sum${o}_${q});
      #end
      #end
      tap += params.weightIn;
    }
  }

  if (!inside) { return; }
  #for o in 0..${TILE}
  if (firstChannel + ${o}u <= lastChannel) {
    let to = (image * params.outChannels + firstChannel + ${o}u) * plane + y * rowPixels + x;
    #for q in 0..${PIXELS / 4}
    if (params.accumulate == 1u) { sum${o}_${q} += output[to + ${q}u]; }
    output[to + ${q}u] = sum${o}_${q};
    #end
  }
  #end
}
