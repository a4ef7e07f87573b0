// Convolution whose output rows are whole blocks of PIXELS positions, or with PARTIAL of four:
//
//   output[n, o, y, x] = sum over i, tapY, tapX of
//                        weight[o, i, tapY, tapX] * input[n, i, row, x * STRIDE + tapX * STEP - PADDING]  (+ bias[o])
//
// Bindings and parameters as in convolution.wgsl. KERNEL = tapsX, STRIDE = inStride, STEP = inStepX and PADDING = -inOffsetX
// <= 4 are constants, (KERNEL - 1) * STEP + 1 - STRIDE - PADDING <= 4; the input's width is a multiple of 4 and at least
// STRIDE * outWidth.
//
// With PARTIAL, without stride, the last block of a row has but its first four.
//
// With SCATTER the output's positions are not neighbours, as in one phase of a strided convolution's input gradient.
//
// Grid: x = tiles of TILE channels; y = blocks of PIXELS consecutive positions of a row, 64 a workgroup.
//
// The taps of a filter row read the same inputs, STEP columns apart: a lane loads the columns under its positions once, as
// vec4, and picks each tap's out of registers. Only the columns left and right of the block's own can lie outside the
// image. They and rows outside are read clamped and counted as zero, because all lanes have to stay active for the
// broadcasts.
#include convolution_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
#if SCATTER
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
#else
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;
#end
#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#end

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  #if PARTIAL
  let rowBlocks = (params.outWidth + ${PIXELS - 1}u) / ${PIXELS}u;
  #else
  let rowBlocks = params.outWidth / ${PIXELS}u;
  #end
  let rows = params.images * params.outHeight;
  let rowQuads = params.inWidth / 4u;
  let planeQuads = params.inHeight * rowQuads;
  let index = group.y * 64u + local;
  let row = min(index / rowBlocks, rows - 1u);
  let inside = index < rows * rowBlocks;
  let block = index % rowBlocks;
  let image = row / params.outHeight;
  let y = row % params.outHeight;
  let firstQuad = block * ${PIXELS * STRIDE / 4}u;
  let firstChannel = group.x * ${TILE}u;
  let lastChannel = params.outChannels - 1u;

  let hasLeft = block > 0u;
  let left = select(0u, 1u, hasLeft);
  let hasRight = firstQuad + ${PIXELS * STRIDE / 4}u < rowQuads;
  let right = select(0u, ${PIXELS * STRIDE / 4}u, hasRight);

  #if PARTIAL
  #for j in 1..${PIXELS / 4}
  let hasQuad${j} = firstQuad + ${j}u < rowQuads;
  #end
  #end

  #include weight_rows

  #for o in 0..${TILE}
  #for q in 0..${PIXELS / 4}
  var sum${o}_${q} = vec4<f32>();
  #end
  #end

  for (var tapY = 0u; tapY < params.tapsY; tapY++) {
    let wanted = i32(y) * ${STRIDE} + params.inOffsetY + i32(tapY) * params.inStepY;
    let inRow = clamp(wanted, 0, i32(params.inHeight) - 1);
    let rowInside = wanted == inRow;
    let leftInside = rowInside && hasLeft;
    let rightInside = rowInside && hasRight;
    var at = (params.inBase + image * params.inImage) / 4u + u32(inRow) * rowQuads + firstQuad;
    var tap = params.weightBase + i32(tapY) * params.weightTapY;

    for (var i = 0u; i < params.inChannels; i++) {
      // in{4 + c} is the input of the block's column c, from -PADDING on.
      #if STEP > 2
      let leftQuad = select(vec4<f32>(), input[at - left], leftInside);
      #for c in ${4 - PADDING}..4
      let in${c} = leftQuad[${c}];
      #end
      #else
      #for c in ${4 - PADDING}..4
      let in${c} = select(0.0, input[at - left][${c}], leftInside);
      #end
      #end
      #for j in 0..${PIXELS * STRIDE / 4}
      #if PARTIAL && j > 0
      let quad${j} = select(vec4<f32>(), input[at + select(0u, ${j}u, hasQuad${j})], rowInside && hasQuad${j});
      #else
      let quad${j} = select(vec4<f32>(), input[at + ${j}u], rowInside);
      #end
      #for c in 0..4
      let in${4 + 4 * j + c} = quad${j}[${c}];
      #end
      #end
      #if STEP > 2
      let rightQuad = select(vec4<f32>(), input[at + right], rightInside);
      #for c in 0..${(KERNEL - 1) * STEP + 1 - STRIDE - PADDING}
      let in${4 + PIXELS * STRIDE + c} = rightQuad[${c}];
      #end
      #else
      #for c in 0..${(KERNEL - 1) * STEP + 1 - STRIDE - PADDING}
      let in${4 + PIXELS * STRIDE + c} = select(0.0, input[at + right][${c}], rightInside);
      #end
      #end
      #for t in 0..${KERNEL}
      #for q in 0..${PIXELS / 4}
      let under${t}_${q} = vec4<f32>(
        in${t * STEP + 4 - PADDING + 4 * q * STRIDE},
        in${t * STEP + 4 - PADDING + (4 * q + 1) * STRIDE},
        in${t * STEP + 4 - PADDING + (4 * q + 2) * STRIDE},
        in${t * STEP + 4 - PADDING + (4 * q + 3) * STRIDE},
      );
      #end
      #if SUBGROUP
      #for b in 0..${TILE / 8}
      let lanes${t}_${b} = weight[u32(tap + weightRow${b} + ${t} * params.weightTapX)];
      #end
      #end
      #end
      #for o in 0..${TILE}
      #for t in 0..${KERNEL}
      #if SUBGROUP
      let weight${o}_${t} = subgroupBroadcast(lanes${t}_${o >> 3}, ${o & 7}u);
      #else
      let weight${o}_${t} = weight[u32(tap + weightRow${o} + ${t} * params.weightTapX)];
      #end
      #for q in 0..${PIXELS / 4}
      sum${o}_${q} = fma(vec4<f32>(weight${o}_${t}), under${t}_${q}, sum${o}_${q});
      #end
      #end
      #end
      at += planeQuads;
      tap += params.weightIn;
    }
  }

  if (!inside) { return; }
  #for o in 0..${TILE}
  if (firstChannel + ${o}u <= lastChannel) {
    #if BIAS
    #for q in 0..${PIXELS / 4}
    sum${o}_${q} += vec4<f32>(bias[firstChannel + ${o}u]);
    #end
    #end
    #if SCATTER
    let to = params.outBase + (image * params.outChannels + firstChannel + ${o}u) * params.outPlane + y * params.outRow +
      block * ${PIXELS}u * params.outColumn;
    #for q in 0..${PIXELS / 4}
    #if PARTIAL && q > 0
    if (block * ${PIXELS}u + ${4 * q}u < params.outWidth) {
    #end
    #for p in ${4 * q}..${4 * q + 4}
    if (params.accumulate == 1u) { sum${o}_${q}[${p & 3}] += output[to + ${p}u * params.outColumn]; }
    output[to + ${p}u * params.outColumn] = sum${o}_${q}[${p & 3}];
    #end
    #if PARTIAL && q > 0
    }
    #end
    #end
    #else
    let to = ((image * params.outChannels + firstChannel + ${o}u) * params.outPlane + y * params.outWidth) / 4u +
      block * ${PIXELS / 4}u;
    #for q in 0..${PIXELS / 4}
    #if PARTIAL && q > 0
    if (block * ${PIXELS}u + ${4 * q}u < params.outWidth) {
    #end
    if (params.accumulate == 1u) { sum${o}_${q} += output[to + ${q}u]; }
    output[to + ${q}u] = sum${o}_${q};
    #if PARTIAL && q > 0
    }
    #end
    #end
    #end
  }
  #end
}
