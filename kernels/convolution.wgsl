// Convolution as an implicit matrix product, any taps, strides and offsets:
//
//   output[n, o, y, x] = sum over i, tapY, tapX of weight[o, i, tapY, tapX] * input[n, i, row, column]  (+ bias[o])
//
// with row, column and the strides of include/convolution_params. Positions outside the input count as zero.
//
// input    [images, more channels, inHeight, inWidth]   weight   stored full; strides select the active slice
// bias     [outChannels], only with BIAS                output   written, or added to when params.accumulate is 1
//
// Grid: x = tiles of TILE channels, so that neighbouring workgroups share their inputs in the cache; y = blocks of PIXELS
// consecutive output positions (over all images), 64 a workgroup.
//
// Each invocation keeps TILE x PIXELS sums in registers and no shared memory: on a CPU driver a barrier suspends every
// lane. There each storage load costs a gather, so what counts is loads per multiply-add. With SUBGROUP (8 fixed lanes)
// each lane loads the weights of another channel, one load for 8 of them, and broadcasts feed the sums.
#include convolution_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#end

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let outPixels = params.outHeight * params.outWidth;
  let total = params.images * outPixels;
  let inPlane = params.inHeight * params.inWidth;
  let firstPixel = (group.y * 64u + local) * ${PIXELS}u;
  let firstChannel = group.x * ${TILE}u;
  let lastChannel = params.outChannels - 1u;

  // Lanes past the end repeat the last position and store nothing: all lanes stay active for the broadcasts.
  #for p in 0..${PIXELS}
  let pixel${p} = min(firstPixel + ${p}u, total - 1u);
  let image${p} = pixel${p} / outPixels;
  let place${p} = pixel${p} % outPixels;
  let y${p} = place${p} / params.outWidth;
  let x${p} = place${p} % params.outWidth;
  #end

  #include weight_rows

  #for o in 0..${TILE}
  #for q in 0..${PIXELS / 4}
  var sum${o}_${q} = vec4<f32>();
  #end
  #end

  for (var tapY = 0u; tapY < params.tapsY; tapY++) {
    for (var tapX = 0u; tapX < params.tapsX; tapX++) {
      let stepY = params.inOffsetY + i32(tapY) * params.inStepY;
      let stepX = params.inOffsetX + i32(tapX) * params.inStepX;
      #for p in 0..${PIXELS}
      let row${p} = i32(y${p}) * params.inStride + stepY;
      let column${p} = i32(x${p}) * params.inStride + stepX;
      let inside${p} = row${p} >= 0 && row${p} < i32(params.inHeight) && column${p} >= 0 && column${p} < i32(params.inWidth);
      var at${p} = select(
        0u,
        params.inBase + image${p} * params.inImage + u32(row${p}) * params.inWidth + u32(column${p}),
        inside${p},
      );
      #end
      var tap = params.weightBase + i32(tapY) * params.weightTapY + i32(tapX) * params.weightTapX;

      for (var i = 0u; i < params.inChannels; i++) {
        #for q in 0..${PIXELS / 4}
        let in${q} = vec4<f32>(
          select(0.0, input[at${4 * q}], inside${4 * q}),
          select(0.0, input[at${4 * q + 1}], inside${4 * q + 1}),
          select(0.0, input[at${4 * q + 2}], inside${4 * q + 2}),
          select(0.0, input[at${4 * q + 3}], inside${4 * q + 3}),
        );
        at${4 * q} += inPlane;
        at${4 * q + 1} += inPlane;
        at${4 * q + 2} += inPlane;
        at${4 * q + 3} += inPlane;
        #end
        #if SUBGROUP
        #for b in 0..${TILE / 8}
        let lanes${b} = weight[u32(tap + weightRow${b})];
        #end
        #end
        #for o in 0..${TILE}
        #if SUBGROUP
        let weight${o} = subgroupBroadcast(lanes${o >> 3}, ${o & 7}u);
        #else
        let weight${o} = weight[u32(tap + weightRow${o})];
        #end
        #for q in 0..${PIXELS / 4}
        sum${o}_${q} = fma(vec4<f32>(weight${o}), in${q}, sum${o}_${q});
        #end
        #end
        tap += params.weightIn;
      }
    }
  }

  #for o in 0..${TILE}
  if (firstChannel + ${o}u <= lastChannel) {
    #if BIAS
    let bias${o} = bias[firstChannel + ${o}u];
    #end
    #for q in 0..${PIXELS / 4}
    #if BIAS
    sum${o}_${q} += vec4<f32>(bias${o});
    #end
    #for p in 0..4
    if (firstPixel + ${4 * q + p}u < total) {
      let to = params.outBase + (image${4 * q + p} * params.outChannels + firstChannel + ${o}u) * params.outPlane +
        y${4 * q + p} * params.outRow + x${4 * q + p} * params.outColumn;
      if (params.accumulate == 1u) { sum${o}_${q}[${p}] += output[to]; }
      output[to] = sum${o}_${q}[${p}];
    }
    #end
    #end
  }
  #end
}
