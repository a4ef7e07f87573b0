// Convolution as an implicit matrix product, any taps, strides and offsets, in tiles that a workgroup shares:
//
//   output[n, o, y, x] = sum over i, tapY, tapX of weight[o, i, tapY, tapX] * input[n, i, row, column]  (+ bias[o])
//
// Bindings and parameters as in convolution.wgsl. With OUTPUT_FASTEST the weights of neighbouring output channels are
// the nearer ones in memory (weightOut < weightIn), as in the gradient of the input; else those of input channels.
//
// Grid: x = tiles of 16 * TILE channels; y = tiles of 16 * PIXELS consecutive positions (over all images). 256 invocations
// in 16 columns (positions) and 16 rows (channels), each with TILE x PIXELS sums; TILE and PIXELS are 4 or 8.
//
// For GPUs. A tap's weights and inputs of DEPTH channels go through workgroup memory, so each value that is loaded serves
// 16 * PIXELS or 16 * TILE multiply-adds instead of PIXELS or TILE. The vec4 of index j holds the values of j, j + a
// quarter of the tile, and so on: then neighbouring invocations load and store neighbouring positions, and still read
// and write workgroup memory four at a time. Positions are decoded once, their addresses found once a tap.
#include convolution_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#end

// Rows of workgroup memory: one input channel each. A row of weights that is filled across (input channels by
// neighbouring invocations) is one vec4 longer than needed, so that those writes meet different banks.
const quarterPixels = ${4 * PIXELS}u;
const quarterChannels = ${4 * TILE}u;
const weightRow = ${4 * TILE + (OUTPUT_FASTEST ? 0 : 1)}u;
var<workgroup> inputs: array<vec4<f32>, ${DEPTH * 4 * PIXELS}>;
var<workgroup> weights: array<vec4<f32>, ${DEPTH * (4 * TILE + (OUTPUT_FASTEST ? 0 : 1))}>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let outPixels = params.outHeight * params.outWidth;
  let total = params.images * outPixels;
  let inPlane = params.inHeight * params.inWidth;
  let firstPixel = group.y * ${16 * PIXELS}u;
  let firstChannel = group.x * ${16 * TILE}u;

  // What this invocation loads: four positions, in every ${256 / (4 * PIXELS)}th channel of a chunk ...
  let loadDepth = local / quarterPixels;
  #for c in 0..4
  let pixel${c} = min(firstPixel + local % quarterPixels + ${c}u * quarterPixels, total - 1u);
  let image${c} = pixel${c} / outPixels;
  let y${c} = i32(pixel${c} % outPixels / params.outWidth) * params.inStride + params.inOffsetY;
  let x${c} = i32(pixel${c} % params.outWidth) * params.inStride + params.inOffsetX;
  #end

  // ... and weights of four output channels at a time.
  #for v in 0..${DEPTH * TILE / 64}
  #if OUTPUT_FASTEST
  let weightDepth${v} = local / quarterChannels + ${v * 64 / TILE}u;
  let weightQuad${v} = local % quarterChannels;
  #else
  let weightDepth${v} = local % ${DEPTH}u;
  let weightQuad${v} = local / ${DEPTH}u + ${v * 256 / DEPTH}u;
  #end
  #for c in 0..4
  let weightChannel${v}_${c} = firstChannel + weightQuad${v} + ${c}u * quarterChannels;
  let weightAt${v}_${c} = i32(weightChannel${v}_${c}) * params.weightOut + i32(weightDepth${v}) * params.weightIn;
  #end
  #end

  let column = local % 16u;
  let row = local / 16u;
  #for o in 0..${TILE}
  #for q in 0..${PIXELS / 4}
  var sum${o}_${q} = vec4<f32>();
  #end
  #end

  for (var tapY = 0u; tapY < params.tapsY; tapY++) {
    for (var tapX = 0u; tapX < params.tapsX; tapX++) {
      #for c in 0..4
      let inRow${c} = y${c} + i32(tapY) * params.inStepY;
      let inColumn${c} = x${c} + i32(tapX) * params.inStepX;
      let inside${c} = inRow${c} >= 0 && inRow${c} < i32(params.inHeight) &&
        inColumn${c} >= 0 && inColumn${c} < i32(params.inWidth);
      let at${c} = params.inBase + image${c} * params.inImage + u32(inRow${c}) * params.inWidth + u32(inColumn${c});
      #end
      let tap = params.weightBase + i32(tapY) * params.weightTapY + i32(tapX) * params.weightTapX;

      for (var first = 0u; first < params.inChannels; first += ${DEPTH}u) {
        workgroupBarrier();
        #for v in 0..${DEPTH * PIXELS / 64}
        let channel${v} = first + loadDepth + ${v * 64 / PIXELS}u;
        let there${v} = channel${v} < params.inChannels;
        #for c in 0..4
        let wanted${v}_${c} = there${v} && inside${c};
        let in${v}_${c} = select(0.0, input[select(0u, at${c} + channel${v} * inPlane, wanted${v}_${c})], wanted${v}_${c});
        #end
        inputs[local + ${256 * v}u] = vec4<f32>(in${v}_0, in${v}_1, in${v}_2, in${v}_3);
        #end
        #for v in 0..${DEPTH * TILE / 64}
        let active${v} = first + weightDepth${v} < params.inChannels;
        #for c in 0..4
        let used${v}_${c} = active${v} && weightChannel${v}_${c} < params.outChannels;
        let weight${v}_${c} = select(
          0.0,
          weight[select(0u, u32(tap + weightAt${v}_${c} + i32(first) * params.weightIn), used${v}_${c})],
          used${v}_${c},
        );
        #end
        weights[weightDepth${v} * weightRow + weightQuad${v}] =
          vec4<f32>(weight${v}_0, weight${v}_1, weight${v}_2, weight${v}_3);
        #end
        workgroupBarrier();

        #for d in 0..${DEPTH}
        #for q in 0..${PIXELS / 4}
        let pixels${d}_${q} = inputs[${d * 4 * PIXELS + 16 * q}u + column];
        #end
        #for r in 0..${TILE / 4}
        let channels${d}_${r} = weights[${d}u * weightRow + ${16 * r}u + row];
        #for c in 0..4
        #for q in 0..${PIXELS / 4}
        sum${4 * r + c}_${q} = fma(vec4<f32>(channels${d}_${r}[${c}]), pixels${d}_${q}, sum${4 * r + c}_${q});
        #end
        #end
        #end
        #end
      }
    }
  }

  #for q in 0..${PIXELS / 4}
  #for p in 0..4
  let outPixel${q}_${p} = firstPixel + ${16 * q}u + column + ${p}u * quarterPixels;
  if (outPixel${q}_${p} < total) {
    let image = outPixel${q}_${p} / outPixels;
    let y = outPixel${q}_${p} % outPixels / params.outWidth;
    let x = outPixel${q}_${p} % params.outWidth;
    let place = params.outBase + y * params.outRow + x * params.outColumn;
    #for r in 0..${TILE / 4}
    #for c in 0..4
    let channel${r}_${c} = firstChannel + ${16 * r}u + row + ${c}u * quarterChannels;
    if (channel${r}_${c} < params.outChannels) {
      let to = place + (image * params.outChannels + channel${r}_${c}) * params.outPlane;
      var value = sum${4 * r + c}_${q}[${p}];
      #if BIAS
      value += bias[channel${r}_${c}];
      #end
      if (params.accumulate == 1u) { value += output[to]; }
      output[to] = value;
    }
    #end
    #end
  }
  #end
  #end
}
